"""What the engine computes: data, fits, recommendations, explanations. Importing these modules never imports torch."""
