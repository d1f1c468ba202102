from pathlib import Path
def recorded() -> None:
    """."""
