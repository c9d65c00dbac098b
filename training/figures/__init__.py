"""Pictures of the theory and of learning."""
