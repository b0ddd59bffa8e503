"""Where archives are kept, as opaque bytes under a name."""
