# A VPC as ec2-api made them for Terraform: with a public and a private subnet, and a security group.
resource "aws_vpc" "ours" {
  cidr_block = "10.84.0.0/16"
  tags       = { Name = "ours" }
}
resource "aws_subnet" "public" {
  vpc_id     = aws_vpc.ours.id
  cidr_block = "10.84.0.0/24"
}
resource "aws_subnet" "private" {
  vpc_id     = aws_vpc.ours.id
  cidr_block = "10.84.1.0/24"
}
resource "aws_internet_gateway" "ours" {
  vpc_id = aws_vpc.ours.id
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.ours.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.ours.id
  }
}
resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}
resource "aws_security_group" "web" {
  name        = "web"
  description = "of web servers"
  vpc_id      = aws_vpc.ours.id
  egress {
    from_port        = 0
    to_port          = 0
    protocol         = "-1"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}
