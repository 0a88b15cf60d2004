"""The BrainIO format of Brain-Score: read and write."""
