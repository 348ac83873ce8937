"""The embedded local cloud: its server, its clock, its Pulumi project and its `aws` provider."""
