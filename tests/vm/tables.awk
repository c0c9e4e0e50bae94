# The tables of docs/kernels.md from results, whose lines document.sh describes.
#
# A column is a kernel with or without BPF among its security modules; columns, rows and sections come in the order in
# which the results name them first.

{
	column = $1 SUBSEP $3
	if (!(column in known)) {
		known[column] = 1
		columns[++width] = column
		titles[width] = $1 ($3 == "bpf" ? " +bpf" : " −bpf")
		if (!($1 in releases)) {
			releases[$1] = $2
			kernels[++count] = $1
		}
	}
}

$5 == "class" {
	row = $6 SUBSEP $7
	if (!(row in class_known)) {
		class_known[row] = 1
		class_rows[++classes] = row
	}
	# Of several answers the one that something is missing counts.
	at = $4 SUBSEP row SUBSEP column
	if (!(at in class_result) || class_result[at] == "passed")
		class_result[at] = $8
	next
}

$5 == "test" {
	split($6, part, "::")
	section = part[1] " " part[2]
	if (!(section in section_known)) {
		section_known[section] = 1
		sections[++parts] = section
	}
	if (!($6 in test_known)) {
		test_known[$6] = 1
		rows_of[section] = rows_of[section] $6 "\n"
	}
	test_result[$4 SUBSEP $6 SUBSEP column] = $8
}

function cell(text) {
	gsub(/\|/, "\\|", text)
	return " " text " |"
}

function head(first, i, line, rule) {
	line = "|" first
	rule = first
	gsub(/[^|]/, "", rule)
	gsub(/\|/, "---|", rule)
	for (i = 1; i <= width; i++) {
		line = line cell(titles[i])
		rule = rule "---|"
	}
	print line
	print "|" rule
}

# A reason is long and the same in many cells, so that it gets a number.
function missing(result, reason) {
	reason = result
	sub(/^missing: */, "", reason)
	if (!(reason in reason_number)) {
		reason_number[reason] = ++reasons
		reason_text[reasons] = reason
	}
	return "missing (" reason_number[reason] ")"
}

function class_table(hooks, i, j, line, part, at, result, said) {
	print "### Classes, hooks = \"" hooks "\"\n"
	head(" class | hook |")
	for (i = 1; i <= classes; i++) {
		split(class_rows[i], part, SUBSEP)
		line = "|" cell(part[1]) cell("`" part[2] "`")
		said = 0
		for (j = 1; j <= width; j++) {
			at = hooks SUBSEP class_rows[i] SUBSEP columns[j]
			result = at in class_result ? class_result[at] : ""
			said = said || result != ""
			line = line cell(result ~ /^missing/ ? missing(result) : result)
		}
		# A hook may belong to the other rung.
		if (said)
			print line
	}
	print ""
}

# What a test came to on both rungs, in one word if it is the same, or if it only runs on one.
function both(test, column, t, s) {
	t = test_result["trampoline" SUBSEP test SUBSEP column]
	s = test_result["syscall" SUBSEP test SUBSEP column]
	if (t == "")
		return s
	return t == s ? t : t " / " (s == "" ? "-" : s)
}

function test_table(section, i, j, n, tests, line, name) {
	print "### " section "\n"
	head(" test |")
	n = split(rows_of[section], tests, "\n") - 1
	for (i = 1; i <= n; i++) {
		name = tests[i]
		sub(/^[^:]*::[^:]*::/, "", name)
		gsub(/_/, " ", name)
		line = "|" cell(name)
		for (j = 1; j <= width; j++)
			line = line cell(both(tests[i], columns[j]))
		print line
	}
	print ""
}

END {
	print "| column | kernel |\n|---|---|"
	for (i = 1; i <= count; i++)
		print "|" cell(kernels[i]) cell(releases[kernels[i]])
	print ""
	if (classes) {
		class_table("trampoline")
		class_table("syscall")
	}
	for (i = 1; i <= reasons; i++)
		print i ". " reason_text[i]
	if (reasons)
		print ""
	for (i = 1; i <= parts; i++)
		test_table(sections[i])
}
