"""The schema: recordings, stimuli, spikes and presentations, and choosing among them."""
