"""A stack's configuration: what `stacks/Pulumi.<stack>.yaml` may say, and its errors.

One module a part of the platform, with its models; `platform` puts them together, `stack` reads a
file and checks what concerns several parts. Nothing here talks to AWS or Pulumi. Every setting
reaches a resource or a check.
"""
