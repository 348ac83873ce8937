"""The embedded `aws` provider: pulumi-aws's resource types over boto3, for the local cloud only."""
