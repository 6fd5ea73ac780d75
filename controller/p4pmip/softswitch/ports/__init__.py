"""Where frames come from and go to: Linux interfaces and pcap files."""
