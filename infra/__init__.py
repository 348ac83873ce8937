"""The Pulumi program of firstbell, and the pure season planner it reads plans from."""
