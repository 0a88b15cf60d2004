"""Neurodata Without Borders: read responses and spikes."""
