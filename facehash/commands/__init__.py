"""The commands about a photo library, one file a group; each adds itself to an application."""
