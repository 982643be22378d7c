# A bar chart, as SVG: horizontal bars over a logarithmic axis.
#
# Reads lines of "label,value"; the bar of the label that -v own=... names has
# the colour.  -v title=..., -v unit=...; -v theme=light|dark.

function escaped(text)
{
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	return text
}

function thousands(text)
{
	return length(text) > 3 ? substr(text, 1, length(text) - 3) "," substr(text, length(text) - 2) : text
}

function number(value)
{
	return value < 100 ? sprintf("%.1f", value) : thousands(sprintf("%.0f", value))
}

function place(value)
{
	return left + width * (log(value) - log(low)) / (log(high) - log(low))
}

function words(x, y, anchor, colour, text, more)
{
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\"%s>%s</text>\n",
		x, y, anchor, colour, more, escaped(text)
}

BEGIN {
	FS = ","
	left = 268
	width = 420
	top = 58
	step = 34
	bar = 22
}

{
	label[NR] = $1
	value[NR] = $2
	if (NR == 1 || $2 < least)
		least = $2
	if ($2 > most)
		most = $2
}

END {
	ink = theme == "dark" ? "#e6edf3" : "#1f2328"
	faint = theme == "dark" ? "#9198a1" : "#59636e"
	grid = theme == "dark" ? "#30363d" : "#d1d9e0"
	other = theme == "dark" ? "#57606a" : "#afb8c1"
	colour = theme == "dark" ? "#3fb950" : "#1a7f37"
	for (low = 1; low > least; low /= 10)
		;
	for (high = low; high < most; high *= 10)
		;
	bottom = top + step * NR
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 %d\" width=\"760\" height=\"%d\"", bottom + 44, bottom + 44
	print " role=\"img\" aria-labelledby=\"t d\" font-family=\"-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"14\">"
	printf "<title id=\"t\">%s</title>\n<desc id=\"d\">", escaped(title)
	for (i = 1; i <= NR; i++)
		printf "%s%s: %s %s", (i == 1 ? "" : "; "), escaped(label[i]), number(value[i]), unit
	print "</desc>"
	words(left, 24, "start", ink, title, " font-size=\"16\" font-weight=\"600\"")
	for (tick = low; tick <= high; tick *= 10) {
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n",
			place(tick), place(tick), top - 8, bottom, grid
		words(place(tick), bottom + 18, "middle", faint, thousands(tick))
	}
	words(left + width, bottom + 38, "end", faint, unit ", logarithmic: shorter is better")
	for (i = 1; i <= NR; i++) {
		y = top + step * (i - 1)
		is_own = label[i] == own
		weight = is_own ? " font-weight=\"600\"" : ""
		words(left - 12, y + bar / 2 + 5, "end", ink, label[i], weight)
		printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"%s\"/>\n",
			left, y, place(value[i]) - left, bar, is_own ? colour : other
		words(place(value[i]) + 6, y + bar / 2 + 5, "start", ink, number(value[i]), weight)
	}
	print "</svg>"
}
