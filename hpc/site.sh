# shellcheck shell=bash
# Source this: the profile of the site we are on (hpc/sites/), named by VINFO_SITE or known by its host names.
# Before bash hpc/setup.sh, so that it finds the site's modules; slurm/full_pipeline.sh sources it in every job.
_vinfo_sites=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/sites" && pwd)
if [ -z "${VINFO_SITE:-}" ]; then
    case "$(uname -n) ${NERSC_HOST:-}" in
        *perlmutter) VINFO_SITE=perlmutter ;;
        jwlogin2* | jwb*) VINFO_SITE=juwels-booster ;;
        lrdn* | *.leonardo.*) VINFO_SITE=leonardo ;;
        *) VINFO_SITE=generic ;;
    esac
fi
if [ ! -f "$_vinfo_sites/$VINFO_SITE.sh" ]; then
    echo "site: VINFO_SITE=$VINFO_SITE: no such profile; valid: $(cd "$_vinfo_sites" && echo *.sh | sed 's/\.sh//g; s/ /, /g')" >&2
    # shellcheck disable=SC2317
    return 2 2>/dev/null || exit 2
fi
export VINFO_SITE
# shellcheck source=hpc/sites/generic.sh
. "$_vinfo_sites/generic.sh"
# shellcheck source=/dev/null
[ "$VINFO_SITE" = generic ] || . "$_vinfo_sites/$VINFO_SITE.sh"
unset _vinfo_sites
