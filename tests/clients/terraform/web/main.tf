# One instance with all that belongs to it. `v` = 2 changes tags, a rule and the instance type in place.
variable "v" {
  default = "1"
}

locals {
  tags = { Name = "web-${var.v}", Owner = "tests" }
}

data "aws_caller_identity" "me" {}

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
  filter {
    name   = "availability-zone"
    values = [data.aws_availability_zones.all.names[0]]
  }
}

data "aws_ami" "tiny" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["isthmus-tiny*"]
  }
}

resource "aws_key_pair" "admin" {
  key_name   = "admin"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJcNjS6Xyvo0L7GQcGhuevmX0GRkF6jyoKUDz3D5Hdau admin@example"
  tags       = local.tags
}

resource "aws_security_group" "web" {
  name        = "web"
  description = "The web, and ssh from here"
  vpc_id      = data.aws_vpc.default.id
  ingress {
    description = "ssh"
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
  ingress {
    from_port   = var.v == "2" ? 443 : 80
    to_port     = var.v == "2" ? 443 : 80
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
  ingress {
    from_port = 8000
    to_port   = 8080
    protocol  = "udp"
    self      = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = local.tags
}

resource "aws_instance" "web" {
  ami                    = data.aws_ami.tiny.id
  instance_type          = var.v == "2" ? "t3.small" : "t3.micro"
  key_name               = aws_key_pair.admin.key_name
  subnet_id              = data.aws_subnets.default.ids[0]
  vpc_security_group_ids = [aws_security_group.web.id]
  user_data              = "#!/bin/sh\necho hello from $(hostname)\n"
  tags                   = local.tags
}

resource "aws_ebs_volume" "data" {
  availability_zone = aws_instance.web.availability_zone
  size              = 2
  type              = "gp2"
  tags              = local.tags
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdh"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.web.id
}

resource "aws_eip" "web" {
  domain = "vpc"
  tags   = local.tags
}

resource "aws_eip_association" "web" {
  allocation_id = aws_eip.web.id
  instance_id   = aws_instance.web.id
}

output "account" {
  value = data.aws_caller_identity.me.account_id
}

output "instance" {
  value = aws_instance.web.id
}

output "address" {
  value = aws_eip.web.public_ip
}
