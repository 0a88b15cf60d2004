"""What one candidate shows: images, training and its evaluation."""
