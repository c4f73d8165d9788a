"""Large libraries of synthetic people, without photos: what each command costs."""
