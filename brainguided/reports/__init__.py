"""What a finished search leaves to read: its page and the card of its model."""
