from tests.assurance.planting import added, edited

FILE = ".github/dependabot.yml"

PLANTS = {
    "every_ecosystem_is_kept_up_to_date": (
        added("build_from_an_image", "deploy/Containerfile", "FROM scratch\n"),
        added("use_another_language", "console/package.json", "{}\n"),
        added("lock_elsewhere", "requirements/more/one.txt", "one==1.0\n"),
        edited("forget_the_actions", FILE, "package-ecosystem: github-actions", "package-ecosystem: npm"),
        edited("look_where_nothing_is", FILE, "      - /requirements\n", "      - /demands\n"),
    ),
    "updates_come_weekly_in_groups": (
        edited("come_monthly", FILE, "interval: weekly", "interval: monthly"),
        edited("come_one_by_one", FILE, 'patterns: ["*"]', 'patterns: ["a*"]'),
        edited("take_what_is_new", FILE, "default-days: 7", "default-days: 1"),
        edited("leave_one_out", FILE, "    directory: /\n", "    directory: /\n    ignore:\n      - dependency-name: one\n"),
    ),
}  # fmt: skip
