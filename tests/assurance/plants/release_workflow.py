from tests.assurance.planting import edited

RELEASE = ".github/workflows/release.yml"
AFTER = ".github/workflows/verify-release.yml"
TAG = 'tags: ["v*"]'

PLANTS = {
    "signing_is_keyless": (
        edited("keep_a_key", RELEASE, "run: make attest-release DIR=dist", "run: cosign sign --key env://KEY dist"),
        edited("sign_any_push", RELEASE, TAG, "branches: [main]"),
        edited("sign_by_hand", RELEASE, f"    {TAG}\n", f"    {TAG}\n  workflow_dispatch:\n"),
        edited("sign_from_elsewhere", "src/caracal_server/release/identity.py", "release.yml", "other.yml"),
        edited("attest_a_part", RELEASE, "subject-path: dist/*", "subject-path: dist/*.whl"),
        edited("attest_no_bills", RELEASE, "          sbom-path: release/${{ matrix.sbom.bill }}\n", ""),
        edited("keep_it_from_the_registry", RELEASE, "push-to-registry: true", "push-to-registry: false"),
    ),
    "nothing_is_published_unverified": (
        edited("publish_untested", RELEASE, "    needs: test\n", ""),
        edited("publish_one_build", RELEASE, "needs: [build, rebuild, scan]", "needs: [build, scan]"),
        edited("publish_unverified", RELEASE, "needs: [verify, rebuild, attest-sbom]", "needs: [rebuild, attest]"),
        edited("take_what_comes", RELEASE, "sha256sum --check --quiet SHA256SUMS", "true"),
        edited("compare_nothing", RELEASE, "run: diff --recursive first dist", "run: echo the same"),
        edited("publish_whatever_happens", RELEASE, "    name: Publish the release\n", "    name: Publish the release\n    if: always()\n"),
        edited("excuse_the_verifier", RELEASE, "run: make verify-release DIR=release", "run: echo verified"),
    ),
    "the_package_is_published_by_trust": (
        edited("use_a_token", RELEASE, "attestations: true", "password: ${{ secrets.TOKEN }}"),
        edited("attest_nothing", RELEASE, "attestations: true", "attestations: false"),
        edited("use_another_environment", RELEASE, "environment: pypi", "environment: release"),
    ),
    "what_users_get_is_verified": (
        edited("verify_nothing", RELEASE, "./.github/workflows/verify-release.yml", "./.github/workflows/osv.yml"),
        edited("verify_before", RELEASE, "    needs: publish-release\n", "    needs: verify\n"),
        edited("come_monthly", AFTER, "53 6 * * 2", "53 6 1 * *"),
        edited("use_another_verifier", AFTER, "run: make verify-release DIR=release", "run: sha256sum --check"),
        edited("excuse_a_check", "tools/verify_release.py", '"--version",', '"--accept-unchecked", "signature", "--version",'),
        edited("verify_only_what_was_built", AFTER, "-m tools.release_images compare", "-m tools.release_images list"),
    ),
}  # fmt: skip
