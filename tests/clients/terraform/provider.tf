# What all sets share: the provider, pointed at one endpoint for every service.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}
variable "endpoint" {}
variable "skip" { default = false }
variable "region" { default = "us-east-1" }
provider "aws" {
  region                      = var.region
  skip_credentials_validation = var.skip
  skip_requesting_account_id  = var.skip
  skip_metadata_api_check     = true
  max_retries                 = 3 # default 25: an HTTP 500 then hangs for many minutes
  skip_region_validation      = var.skip
  endpoints {
    ec2            = var.endpoint
    sts            = var.endpoint
    iam            = var.endpoint
    cloudformation = var.endpoint
    cloudwatch     = var.endpoint
    autoscaling    = var.endpoint
    elb            = var.endpoint
    elbv2          = var.endpoint
    logs           = var.endpoint
    s3             = var.endpoint
    ssm            = var.endpoint
    ecs            = var.endpoint
  }
}
