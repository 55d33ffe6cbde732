# What `deploy` and `remove` share. Not to be run.

die() { printf '%s\n' "$*" >&2 && exit 1; }

# The comment at the head of the script.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1" >&2 && exit 64; }

region() { printf '%s' "${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region)}}"; }

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

# await STACK SECONDS: waits until nothing is in progress, and sets $end to the status then.
await() {
  local deadline=$((SECONDS + $2)) last=
  while :; do
    end=$(status "$1")
    [ "$end" = "$last" ] || printf '%s: %s\n' "$1" "$end"
    last=$end
    case $end in *_IN_PROGRESS) ;; *) return 0 ;; esac
    [ "$SECONDS" -lt "$deadline" ] || die "$1 is still $end after $2 s; it goes on by itself"
    sleep "${POLL_SECONDS:-15}"
  done
}
