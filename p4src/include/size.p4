/* How many entries each table is asked to hold, and why. */

#ifndef SIZE_P4
#define SIZE_P4

/* Mobility sessions at one switch: 100,000, and some more for those that are just coming or going. */
#define SESSIONS 114688
/* Each session may have several prefixes; most have one, and one IPv4 address. */
#define SESSION_PREFIXES 131072
/* A MAG has an entry for each direction of a session. */
#define SESSION_DIRECTIONS 229376
/* One per tunnel peer and end point; 1,000 MAGs with two address families fit. */
#define PEERS 4096
/* One per peer and kind of encapsulation. */
#define TUNNELS 8192
/* Ports times VLANs; also bounds link_id (12 bits). */
#define LINKS 4096
/* Own addresses: tunnel end points, router addresses, once per VRF that must not reach them. */
#define LOCAL_ADDRESSES 4096
/* Static routes, pools and peers: grows with the network, not with sessions. */
#define ROUTES 16384
/* A next hop per session at a MAG, and some for routers. */
#define NEXTHOPS 131072
/* link_id (12 bits) times the kinds of punted packets (4 bits). */
#define PUNT_METERS 65536

#endif
