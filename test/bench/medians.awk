# The median, least and greatest value of each group of CSV rows.
#
# -v keys="a b": the columns that make a group; -v value=c.  The groups come
# out in the order of their first row.  Values that are no numbers (a round
# that failed) are left out.

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
	if (!(group in values))
		groups[++ngroups] = group
	values[group] = values[group] " " $(at[value])
}

END {
	for (i = 1; i <= ngroups; i++) {
		m = median(values[groups[i]])
		print groups[i], m, least, greatest
	}
}
