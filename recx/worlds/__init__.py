"""Worlds answer: what would these users be recommended without these items? Kinds: edited-history (here now)."""
