package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Sizes of the chart, in its own units.
const (
	chartWidth = 960
	rowHeight  = 34
	barsFrom   = 440 // where bars begin
	boundAt    = 720 // where a figure is at its bound
	barsTo     = 800 // where bars that are longer are cut off
	topHeight  = 64
)

// The colors are legible on white and on black; where the reader's program says
// which it has, they are those for it.
const chartStyle = `
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 15px }
.bar { fill: #2f81f7 } .beyond { fill: #d9822b }
.range { stroke: #57606a; stroke-width: 2 } .bound { stroke: #57606a; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) { text { fill: #adbac7 } .range, .bound { stroke: #adbac7 } }
`

// chart draws the figures that have a bound: each as a bar whose length is the
// share of its bound, with a line in it for the range.
func (r report) chart() []byte {
	var b strings.Builder
	rows := r.bounded()
	height := topHeight + rowHeight*len(rows) + 58
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, "<title>What the service costs, of what it may</title>\n<style>%s</style>\n", chartStyle)
	label(&b, 16, 26, "title", "What the service costs, of what it may")
	label(&b, boundAt-18, 48, "", "bound")
	for i, f := range rows {
		f.draw(&b, topHeight+rowHeight*i)
	}
	fmt.Fprintf(&b, `<line class="bound" x1="%d" y1="%d" x2="%[1]d" y2="%[3]d"/>`+"\n", boundAt, topHeight-8, topHeight+rowHeight*len(rows))
	label(&b, 16, height-32, "", fmt.Sprintf("Medians of %d rounds, with their range. Bars of wall times begin at 1, those of all else at 0.", r.Rounds))
	label(&b, 16, height-12, "", r.Machine.String())
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func (r report) bounded() (rows []figure) {
	for _, f := range r.Figures {
		if f.AtMost > 0 {
			rows = append(rows, f)
		}
	}
	return rows
}

// draw writes a row that begins at y.
func (f figure) draw(b *strings.Builder, y int) {
	median, kind := f.Values.median(), "bar"
	if !f.met() {
		kind = "bar beyond"
	}
	label(b, 16, y+20, "", strings.ToUpper(f.What[:1])+f.What[1:])
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%d" height="18" rx="2"/>`+"\n", kind, barsFrom, y+6, f.at(median)-barsFrom)
	if len(f.Values) > 1 {
		fmt.Fprintf(b, `<line class="range" x1="%d" y1="%d" x2="%d" y2="%[2]d"/>`+"\n", f.at(f.Values.low()), y+15, f.at(f.Values.high()))
	}
	label(b, barsTo+10, y+20, "", f.show(median)+" of "+f.show(f.AtMost))
}

// at returns where a value of the figure stands.
func (f figure) at(value float64) int {
	return min(barsTo, barsFrom+int(math.Round(max(0, f.share(value))*(boundAt-barsFrom))))
}

func label(b *strings.Builder, x, y int, class, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" class="%s">`, x, y, class)
	_ = xml.EscapeText(b, []byte(text)) // it is written to memory
	b.WriteString("</text>\n")
}
