"""Run files, teacher files and model files, checked before work starts."""
