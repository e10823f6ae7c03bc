"""One Isthmus: the clouds, the store and the fronts of a process, put together from its settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from isthmus import config, opening
from isthmus.aws.front import Front
from isthmus.context import Context, World
from isthmus.core.labels import Labeller
from isthmus.core.reconcile import Reconciler
from isthmus.store import Store


def utc_now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    def __init__(self, world: World) -> None:
        self.world = world
        self.front = Front(world)
        self.reconciler = Reconciler(world)
        self.labeller = Labeller(world)

    @classmethod
    def open(cls, settings: config.Settings, clock: Callable[[], datetime] = utc_now) -> Gateway:
        """Open the store and the clouds. Raises StoreError or ConfigError with one clear sentence."""
        store = Store.open(settings.store_url, opening.master_key(settings))
        clouds = opening.open_clouds(settings, clock)
        world = World(
            region=settings.region,
            places=config.places(settings),
            clouds=clouds,
            store=store,
            clock=clock,
            limits=settings.limits,
            services=settings.endpoints,
            operator=settings.operator,
        )
        return cls(world)

    def context(self, account: str) -> Context:
        """A context for work that no request asks for: the command line, the metadata service."""
        return Context(account=account, world=self.world.of(account))

    def close(self) -> None:
        for cloud in self.world.clouds.values():
            cloud.close()
        self.world.store.close()
