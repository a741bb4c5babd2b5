"""Small networks as members: fitted by torch, where it is installed and var cva_networks asks."""
