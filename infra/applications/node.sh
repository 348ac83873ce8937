#!/bin/bash
# Written by firstbell; runs at each boot, before the application's own commands.
set -uo pipefail
install -d -m 0755 /etc/firstbell
cat > /etc/firstbell/environment <<'VARIABLES'
# ENVIRONMENT
VARIABLES
# TLS

# What the instance metadata service (version 2) says.
cat > /usr/local/bin/firstbell-metadata <<'SCRIPT'
#!/bin/bash
token=$(curl -fsS -m 4 -X PUT http://169.254.169.254/latest/api/token \
  -H 'X-aws-ec2-metadata-token-ttl-seconds: 60') || exit 1
exec curl -fsS -m 4 -H "X-aws-ec2-metadata-token: $token" \
  "http://169.254.169.254/latest/meta-data/$1"
SCRIPT

# Runs a command; while it runs, scale-in leaves this instance alone.
cat > /usr/local/bin/firstbell-busy <<'SCRIPT'
#!/bin/bash
set -uo pipefail
. /etc/firstbell/environment
export AWS_DEFAULT_REGION
protect() {
  aws autoscaling set-instance-protection "$1" \
    --instance-ids "$(firstbell-metadata instance-id)" \
    --auto-scaling-group-name "$(firstbell-metadata tags/instance/aws:autoscaling:groupName)"
}
# Jobs that run side by side: the last one to end takes the protection away.
exec 9> /run/firstbell-busy.lock
flock -s 9
protect --protected-from-scale-in || echo 'not protected from scale-in' >&2
"$@"
status=$?
flock -u 9
if flock -n -x 9; then
  protect --no-protected-from-scale-in || true
fi
exit $status
SCRIPT

# Whether the application answers.
cat > /usr/local/bin/firstbell-healthy <<'SCRIPT'
#!/bin/bash
# READY
SCRIPT

# Lets the group use this instance once the application answers: when it enters the warm pool, and
# again when it leaves it. What never gets ready is given up by the group.
cat > /usr/local/bin/firstbell-ready <<'SCRIPT'
#!/bin/bash
set -uo pipefail
. /etc/firstbell/environment
export AWS_DEFAULT_REGION
told=
until [ "$told" = InService ]; do
  sleep 3
  target=$(firstbell-metadata autoscaling/target-lifecycle-state) || continue
  [ "$target" != "$told" ] || continue
  [ "$target" = InService ] || [[ "$target" = Warmed:* ]] || continue
  firstbell-healthy || continue
  answer=$(aws autoscaling complete-lifecycle-action \
    --lifecycle-hook-name firstbell-ready \
    --lifecycle-action-result CONTINUE \
    --instance-id "$(firstbell-metadata instance-id)" \
    --auto-scaling-group-name "$(firstbell-metadata tags/instance/aws:autoscaling:groupName)" 2>&1)
  # After a mere reboot nobody waits for it.
  if [ $? = 0 ] || [[ "$answer" = *"No active Lifecycle Action"* ]]; then
    told=$target
  else
    echo "$answer" >&2
  fi
done
SCRIPT
chmod 0755 /usr/local/bin/firstbell-*
systemctl stop firstbell-ready.service 2>/dev/null
exec systemd-run --quiet --no-block --collect --unit firstbell-ready /usr/local/bin/firstbell-ready
