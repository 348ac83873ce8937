"""Pure planning: from a school calendar to scheduled actions. Imports no Pulumi, boto3 or Click."""
