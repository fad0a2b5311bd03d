#!/bin/sh
# What a change of data is, for a comment on it: data_changed.sh BASE FOLDER, in a checkout with *.dvc files.
#
# FOLDER/comment.md compares every folder of photos that DVC tracks with its state at the commit BASE; the new state of each
# is checked as well (FOLDER/NAME.html). PYTHON_BIN is where animals and dvc are.
set -eu
base=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
PATH=${PYTHON_BIN:-$PWD/.venv-ship/bin}:$PATH
export DVC_NO_ANALYTICS=1
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/base" "$base"

echo "## Data" >"$out/comment.md"
git diff --name-only --diff-filter=d "$base" -- '*.dvc' >"$work/changed"
while IFS= read -r file; do
    photos=${file%.dvc}
    name=$(echo "$photos" | tr '/ ' '--')
    dvc pull --quiet "$file"
    since=
    if [ -f "$work/base/$file" ]; then
        # A cache of its own, so that nothing of the new state is touched.
        (cd "$work/base" && dvc cache dir --local "$work/cache" && dvc pull --quiet "$file")
        since=$work/base/$photos
    fi
    printf '\n### %s\n\n' "$photos" >>"$out/comment.md"
    animals data version "$photos" ${since:+--since "$since"} >>"$out/comment.md"
    animals data inspect "$photos" --no-embed --html "$out/$name.html" >"$work/found.txt"
    printf '\n<details><summary>What is in it, and what is wrong with it</summary>\n\n```text\n' >>"$out/comment.md"
    cat "$work/found.txt" >>"$out/comment.md"
    printf '```\n\n</details>\n' >>"$out/comment.md"
done <"$work/changed"
[ -s "$work/changed" ] || printf '\nNo tracked folder has changed.\n' >>"$out/comment.md"

# What the pipeline measured, if dvc.lock was renewed.
git diff --name-only --diff-filter=d "$base" -- '*dvc.lock' >"$work/locks"
while IFS= read -r lock; do
    folder=$(dirname "$lock")
    printf '\n### Metrics of %s\n\n' "$folder" >>"$out/comment.md"
    (cd "$folder" && dvc metrics diff --md "$base") >>"$out/comment.md"
done <"$work/locks"
