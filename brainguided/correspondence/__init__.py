"""What a lab reports of any network: which layer corresponds to which area, and how surely."""
