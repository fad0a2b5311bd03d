"""The options about pictures of trail cameras: of ``animals predict``, and of ``convert`` where no model is needed."""

from __future__ import annotations

import click

from animal_classification.cli.options import Command, apply

WHENS = ("always", "unsure")

box_options = apply(
    click.option("--detector", metavar="NAME|DIR", help="Find the animals first, name each; 'lite' is built in."),
    click.option(
        "--detect",
        type=click.Choice(WHENS),
        help="unsure: use the detector only where the whole picture gives no sure answer.  [default: always]",
    ),
    click.option("--detections", metavar="FILE", help="Boxes of another program, such as MegaDetector's json."),
)


html_option = click.option(
    "--html", metavar="FILE", help="Write the events to FILE as well: a page with a picture of each, day by day."
)


def rule_options(function: Command) -> Command:
    """What decides after the model: bursts, events, lists, clocks."""
    return apply(
        click.option(
            "--threshold",
            type=click.FloatRange(0.0, 1.0),
            help="Confidence from which a box counts.  [default: the detector's own]",
        ),
        click.option("--event-gap", metavar="DURATION", help="The longest pause within an event.  [default: 30m]"),
        click.option("--burst-gap", metavar="DURATION", help="The longest pause within a burst.  [default: 30s]"),
        click.option(
            "--smooth",
            type=click.Choice(("burst", "none")),
            help="Whether the pictures of a burst decide together.  [default: burst with boxes, else none]",
        ),
        click.option("--deployments", metavar="FILE", help="A sheet (csv, xlsx) with a row for each deployment."),
        click.option(
            "--shift", multiple=True, metavar="[DEPLOYMENT=]±DURATION", help="Put a clock right; may be repeated."
        ),
        click.option("--time-from", type=click.Choice(("name",)), help="Take times from names as well."),
        click.option("--species-list", metavar="FILE", help="The animals that occur, a name a line."),
        click.option("--list-lenient", is_flag=True, help="Let lines of it pass that the model has no label for."),
        click.option("--country", metavar="ISO3", help="Where the pictures were taken, for --geofence."),
        click.option("--region", metavar="XX", help="The state or province in it."),
        click.option("--geofence", metavar="FILE", help="What lives where, in SpeciesNet's format."),
    )(function)
