"""An example for each command, shown at the end of its `--help`; a test parses them all."""

from __future__ import annotations

from cyclopts import App

EXAMPLES = {
    "": "pangea run job.py --input big.log",
    "run": "pangea run job.py --input big.log --output counts.json",
    "build": "pangea build main.c --output job.wasm",
    "doctor": "pangea doctor",
    "sim": "pangea sim --nodes 100 --chunks 1000 --malicious 0.1 --seed 1",
    "devnet": "pangea devnet --nodes 7 --dashboard",
    "node": "pangea node start --data-dir D",
    "node start": "pangea node start --data-dir D --listen 0.0.0.0:7700 --allow 12D3KooW…",
    "node id": "pangea node id --data-dir D",
    "node status": "pangea node status --node D",
    "node pause": "pangea node pause --for 2h",
    "node resume": "pangea node resume",
    "node contributions": "pangea node contributions --json",
    "job": "pangea job wait last",
    "job plot": "pangea job plot last timeline timeline.svg",
    "job report": "pangea job report last report.html",
    "job validate": "pangea job validate job.py --input sample.log",
    "job watch": "pangea job watch last",
    "job logs": "pangea job logs last --follow",
    "job submit": "pangea job submit job.py --input big.log --node D",
    "job list": "pangea job list --json",
    "job status": "pangea job status 3f2a",
    "job wait": "pangea job wait last --timeout 10m",
    "job result": "pangea job result last --output counts.json",
    "job cancel": "pangea job cancel last",
    "job explain": "pangea job explain last",
    "job tree": "pangea job tree last",
    "job receipt": "pangea job receipt last --output receipt.json",
    "job rerun": "pangea job rerun last",
    "peer": "pangea peer list",
    "peer list": "pangea peer list --json",
    "peer show": "pangea peer show 12D3KooW…",
    "peer trust": "pangea peer trust --json",
    "peer ban": 'pangea peer ban 12D3KooW… --reason "wrong results"',
    "peer pardon": "pangea peer pardon 12D3KooW…",
    "top": "pangea top --node D",
    "dashboard": "pangea dashboard --node D",
    "log": "pangea log prove receipt.json --output receipt.tlog-proof",
    "log prove": "pangea log prove receipt.json --output receipt.tlog-proof",
    "log check": "pangea log check receipt.tlog-proof receipt.json",
    "log cosign": "pangea log cosign growth --output checkpoint",
    "log witnessed": "pangea log witnessed",
    "log export": "pangea log export /srv/www/log",
    "verify": "pangea verify receipt.json --reexecute 10",
    "config": "pangea config list",
    "config list": "pangea config list --json",
    "config get": "pangea config get listen",
    "config path": "pangea config path",
    "id": "pangea id",
    "completion": "pangea completion bash",
}


def show_examples(app: App) -> None:
    """Have each command of `app` show its example."""
    for words, example in EXAMPLES.items():
        command = app
        for word in words.split():
            command = command[word]
        command.help_epilogue = f"Example: {example}"
