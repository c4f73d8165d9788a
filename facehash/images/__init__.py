"""Reading photos and cropping faces."""
