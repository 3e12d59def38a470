package main

import (
	"context"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// A treasury holds back what calls may cost from the budgets that the settings
// give tenants for each day, in UTC.
type treasury struct {
	journal journal.Journal
	perDay  map[string]float64 // by tenant, in US dollars
}

// Hold keeps back what a call may cost. A run that was accepted when its tenant
// had a budget goes on without one.
func (t treasury) Hold(ctx context.Context, h orchestration.Hold) error {
	most, bounded := t.perDay[h.Tenant]
	if !bounded {
		return nil
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	return t.journal.Hold(ctx, h, orchestration.Budget{Period: today, CostUSD: most})
}

// dailyBudgets are what tenants may spend in a day, of those that have a bound.
func (c *Config) dailyBudgets() map[string]float64 {
	perDay := map[string]float64{}
	for name, t := range c.Tenants {
		if t.Limits.CostUSDPerDay > 0 {
			perDay[name] = t.Limits.CostUSDPerDay
		}
	}
	return perDay
}
