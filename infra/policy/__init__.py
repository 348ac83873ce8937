"""AWS's security controls that every stack is held to: a Pulumi policy pack, and its own runner.

One module a service holds its controls; `catalogue` lists them all, and those that concern nothing
that a stack creates. `firstbell preview` and `up` run them over the plan and the state;
`pulumi preview --policy-pack infra/policy` runs the same ones through `__main__`.
"""
