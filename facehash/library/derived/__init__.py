"""What a library computes from its rows: codes and index arrays."""
