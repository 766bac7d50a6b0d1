"""Words that every other part uses: recipes, columns, errors, progress, paths, device, discovery."""
