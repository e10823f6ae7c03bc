"""`isthmus image`: machine images from files."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import common, download, imagefile
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.config import Settings
from isthmus.context import Seed
from isthmus.core.ids import Kind, mint
from isthmus.model import Image, ImageKind, ImageState
from isthmus.providers import Capability, ImageSpec, ImportSpec

if TYPE_CHECKING:
    from isthmus.context import Context
    from isthmus.gateway import Gateway
    from isthmus.providers import Images

app = typer.Typer(help="Machine images: what instances are started from.", no_args_is_help=True)

Account = Annotated[
    str, typer.Option("--account", "-a", metavar="NAME", help="Whose it is; by default the cloud's own.")
]
CloudName = Annotated[str, typer.Option("--cloud", metavar="NAME", help="Which cloud; by default the first.")]
_KINDS = "|".join(ImageKind)
_PREFIXES = {ImageKind.MACHINE: Kind.IMAGE, ImageKind.KERNEL: Kind.KERNEL, ImageKind.RAMDISK: Kind.RAMDISK}
_POLL_SECONDS = 0.2


@app.command("import")
def bring(
    source: Annotated[str, typer.Argument(metavar="FILE|URL", help="raw, qcow2, vmdk or vhd; not compressed.")],
    name: Annotated[str, typer.Option("--name", "-n", help="By default the file's name.")] = "",
    form: Annotated[
        str, typer.Option("--format", metavar="|".join(imagefile.FORMATS), help="By default what the content says.")
    ] = "",
    kind: Annotated[str, typer.Option(metavar=_KINDS, help="kernel and ramdisk are for direct boot.")] = "machine",
    description: Annotated[str, typer.Option(help="What DescribeImages tells.")] = "",
    architecture: Annotated[str, typer.Option(metavar="x86_64|arm64|i386")] = "x86_64",
    platform: Annotated[str, typer.Option(metavar="windows", help="Only for Windows.")] = "",
    public: Annotated[
        bool | None, typer.Option("--public/--private", help="By default public, unless --account is given.")
    ] = None,
    sha256: Annotated[str, typer.Option(metavar="HEX", help="Refuse any other file.")] = "",
    max_size: Annotated[int, typer.Option(metavar="GIB", help="The largest file to download.", min=1)] = 64,
    account: Account = "",
    cloud: CloudName = "",
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Make a machine image of a file, here or at a URL; prints its id. CloudStack fetches it from the URL itself.

    Images with backing files, external data or parents are refused: flatten them with qemu-img convert first.

    Examples:

      isthmus image import debian-12-genericcloud-amd64.qcow2 --name debian-12

      isthmus image import https://example.org/disk.raw --sha256 9f86d0... --name appliance

      isthmus image import vmlinuz --kind kernel --name linux-6.1
    """
    settings = common.settings(config_file, state)
    _check(form, kind, architecture, platform, sha256)
    open_to_all = public if public is not None else not account
    wanted = ImportSpec(
        ref=mint(_PREFIXES[ImageKind(kind)], Seed()),
        name=name or Path(source.partition("?")[0]).name,
        path=Path(),
        format=form,
        kind=ImageKind(kind),
        description=description,
        architecture=architecture,
        platform=platform,
        public=open_to_all,
    )
    with common.gateway(settings) as gateway:
        cx = gateway.context(_owner(gateway, settings, account))
        chosen = _chosen(gateway, cx, cloud)
        if settings.clouds[chosen].kind == "memory":
            raise Failure(f"The cloud {chosen} lives in the memory of the service: nothing can be put in from outside.")
        images = cx.sign_in(chosen).images
        if images is None:
            raise Failure(f"The cloud {chosen} has no images of its own.")
        if download.is_url(source) and _fetches(gateway, chosen):
            made = _fetched(images, chosen, wanted, source, sha256.lower())
        else:
            with _file(settings, source, max_size << 30, sha256.lower()) as path:
                spec = replace(wanted, path=path, format=_format(path, form, wanted.kind))
                made = _await(images, images.import_image(spec).native)
    typer.echo(made.ref or wanted.ref)


@app.command("list")
def show(account: Account = "", config_file: ConfigFile = None, state: State = None) -> None:
    """List the images that an account may use; without --account those of the clouds themselves."""
    from isthmus.core import images

    settings = common.settings(config_file, state)
    table = common.table("IMAGE", "NAME", "STATE", "KIND", "ARCHITECTURE", "PUBLIC", "CLOUD")
    with common.gateway(settings) as gateway:
        cx = gateway.context(_owner(gateway, settings, account))
        for found in images.find_images(cx):
            one, public = found.noun, "yes" if found.noun.public else "no"
            table.add_row(found.id, one.name, one.state, one.kind, one.architecture, public, found.cloud)
    common.show(table)


@app.command("build")
def build(
    target: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="By default the cache of this user.")] = None,
    kernel: Annotated[
        str, typer.Option(metavar="debian|small", help="By default small once that is compiled, else debian.")
    ] = "",
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Build the tiny guest image of the embedded cloud from Debian's packages; once, then it is there.

    Guests with the kernel "small" take much less memory. It is compiled of Debian's sources the first time, which takes
    minutes, and kept.

    Examples:

      isthmus image build

      isthmus image build --kernel small
    """
    common.settings(config_file, state)
    from isthmus.providers.local import tiny

    try:
        which = tiny.Kernel(kernel) if kernel else tiny.preferred()
    except ValueError:
        raise Failure(f"There is no kernel {kernel!r}: choose debian or small.") from None
    try:
        built = tiny.build(target or tiny.cached(which), lambda step: typer.echo(step, err=True), which)
    except (tiny.BuildError, OSError) as error:
        raise Failure(f"The image cannot be built: {error}") from None
    typer.echo(built.path)


def _check(form: str, kind: str, architecture: str, platform: str, sha256: str) -> None:
    if form and form not in imagefile.FORMATS:
        raise Failure(f"There is no format {form!r}: choose one of {', '.join(imagefile.FORMATS)}.")
    if kind not in list(ImageKind):
        raise Failure(f"There is no kind {kind!r}: choose one of {', '.join(ImageKind)}.")
    if architecture not in ("x86_64", "arm64", "i386"):
        raise Failure(f"There is no architecture {architecture!r}: choose x86_64, arm64 or i386.")
    if platform not in ("", "windows"):
        raise Failure(f"There is no platform {platform!r}: say windows, or nothing.")
    if sha256 and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise Failure("A SHA-256 has 64 hexadecimal digits.")


@contextmanager
def _file(settings: Settings, source: str, most: int, sha256: str) -> Iterator[Path]:
    """The file; one that is downloaded is removed at the end."""
    if not download.is_url(source):
        path = Path(source).expanduser().absolute()
        if not path.is_file():
            raise Failure(f"There is no file {source}.")
        try:
            if sha256:
                download.check_sum(path, sha256)
            yield path
        except OSError as error:
            raise Failure(f"{source} cannot be imported: {error.strerror}.") from None
        return
    path = settings.run / f"download-{secrets.token_hex(8)}"
    try:
        download.fetch(source, path, most, sha256)
        yield path
    except OSError as error:
        raise Failure(f"The download cannot be kept in {settings.run}: {error.strerror}.") from None
    finally:
        path.unlink(missing_ok=True)


def _fetches(gateway: Gateway, cloud: str) -> bool:
    """Whether a cloud takes no files, and fetches them from URLs."""
    lacks = gateway.world.clouds[cloud].lacks
    return Capability.IMAGE_IMPORT in lacks and Capability.IMAGE_URL not in lacks


def _fetched(images: Images, cloud: str, wanted: ImportSpec, url: str, sha256: str) -> Image:
    """An image of a file that the cloud fetches by itself. Raises Failure for what it would not be told then."""
    if wanted.format or wanted.platform or wanted.kind is not ImageKind.MACHINE:
        raise Failure(f"The cloud {cloud} fetches the file itself, and takes no --format, --platform or --kind.")
    spec = ImageSpec(
        wanted.ref, wanted.name, wanted.description, architecture=wanted.architecture, url=url, sha256=sha256
    )
    made = _await(images, images.create_image(spec).native)
    if wanted.public:
        images.share_image(made.native, public=True, tenants=())
    return made


def _format(path: Path, form: str, kind: ImageKind) -> str:
    """The format of a disk image; kernels and ramdisks have none."""
    if kind is ImageKind.MACHINE:
        return imagefile.inspect(path, form)
    if not path.stat().st_size:
        raise Failure("The file is empty.")
    return "raw"


def _owner(gateway: Gateway, settings: Settings, account: str) -> str:
    return common.find_account(gateway.world.store, account).id if account else settings.operator


def _chosen(gateway: Gateway, cx: Context, cloud: str) -> str:
    """The cloud that is meant: by default the account's first one."""
    chosen = cloud or next(iter(cx.world.clouds))
    if chosen not in gateway.world.clouds:
        raise Failure(f"There is no cloud {chosen}: choose one of {', '.join(gateway.world.clouds)}.")
    return chosen


def _await(images: Images, native: str) -> Image:
    """The image when it is ready. Raises Failure if it never will be."""
    with download.progress() as shown:
        shown.add_task("importing", total=None)
        while True:
            found = images.list_images([native])
            if not found:
                raise Failure("The image is gone again: somebody else deregistered it.")
            if found[0].state is ImageState.ERROR:
                raise Failure(f"The cloud could not import the image: {found[0].reason or 'it does not say why'}.")
            if found[0].state is ImageState.AVAILABLE:
                return found[0]
            time.sleep(_POLL_SECONDS)
