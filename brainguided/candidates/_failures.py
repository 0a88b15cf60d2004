"""What is said of candidates that failed."""

from __future__ import annotations

import torch


def is_memory(error: Exception) -> bool:
    """Return whether an error says that there was not enough memory."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory")
    )


def say_error(error: Exception) -> str:
    """Return an error as a reason, which stands in a journal."""
    return f"error: {type(error).__name__}: {error}"[:500]
