"""The platform's benchmark: stacks through their lives, growth with tiers, lines of provider."""
