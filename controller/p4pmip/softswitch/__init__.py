"""The softswitch: an embedded P4 target that executes what p4c compiled for BMv2 and serves P4Runtime."""

from p4pmip.softswitch.switch import SoftSwitch as SoftSwitch
