"""stub"""
import click
@click.group()
def main(): pass
@main.command()
def engine():
    from recx.engine import cluster
    raise SystemExit(cluster.serve())
