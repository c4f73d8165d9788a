"""What other programs write about the people in photos: regions and names, read and written."""
