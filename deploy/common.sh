# shellcheck shell=bash
# What the scripts share. Not to be run.

# Version 1 of the CLI knows the second name only.
[ -z "${AWS_REGION:-}" ] || export AWS_DEFAULT_REGION=$AWS_REGION

die() { printf '%s\n' "$*" >&2 && exit 1; }

# The comment at the head of the script.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1" >&2 && exit 64; }

region() { printf '%s' "${AWS_DEFAULT_REGION:-$(aws configure get region)}"; }

# The status of a stack, or `none`. Any other failure than "there is none" is one.
status() {
  local out
  if out=$(aws cloudformation describe-stacks --stack-name "$1" \
    --query 'Stacks[0].StackStatus' --output text 2>&1); then
    printf '%s' "$out"
  else
    case $out in
      *"does not exist"*) printf none ;;
      *) die "$out" ;;
    esac
  fi
}

# await STACK SECONDS [COMMAND...]: waits until nothing is in progress, and sets $end to the status
# then. The command is run at every look; if it fails, that is said and nothing else.
await() {
  local stack=$1 seconds=$2 deadline=$((SECONDS + $2)) last=
  shift 2
  while :; do
    end=$(status "$stack")
    [ "$end" = "$last" ] || printf '%s: %s\n' "$stack" "$end"
    last=$end
    case $end in *_IN_PROGRESS) ;; *) return 0 ;; esac
    [ "$SECONDS" -lt "$deadline" ] || die "$stack is still $end after $seconds s; it goes on by itself"
    "$@" || printf '%s failed; it is tried again\n' "$*" >&2
    sleep "${POLL_SECONDS:-15}"
  done
}
