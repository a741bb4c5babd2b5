"""How models come to be, and the packaged artefacts."""
