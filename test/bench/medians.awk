# The median, least and greatest value of each group of CSV rows.
#
# -v keys="a b": the columns that make a group; -v value=c.  The groups come
# out in the order of their first row.  Values that are no numbers (a round
# that failed) are left out, and so are rows with more than -v limit=n in the
# column others_cpu_percent, unless a group has no others: then it is marked
# with "disturbed" at the end of its line.

function median(list,    n, v, i, j, t)
{
	n = split(list, v, " ")
	for (i = 2; i <= n; i++) {
		t = v[i]
		for (j = i - 1; j > 0 && v[j] + 0 > t + 0; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
	least = v[1]
	greatest = v[n]
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

NR == 1 {
	for (i = 1; i <= NF; i++)
		at[$i] = i
	nkeys = split(keys, key, " ")
	next
}

$(at[value]) + 0 == $(at[value]) {
	group = ""
	for (i = 1; i <= nkeys; i++)
		group = group (i > 1 ? " " : "") $(at[key[i]])
	if (!(group in known)) {
		known[group] = 1
		groups[++ngroups] = group
	}
	if ("others_cpu_percent" in at && $(at["others_cpu_percent"]) > limit + 0)
		disturbed[group] = disturbed[group] " " $(at[value])
	else
		values[group] = values[group] " " $(at[value])
}

END {
	for (i = 1; i <= ngroups; i++) {
		group = groups[i]
		mark = ""
		if (!(group in values)) {
			values[group] = disturbed[group]
			mark = " disturbed"
		}
		m = median(values[group])
		print group, m, least, greatest mark
	}
}
