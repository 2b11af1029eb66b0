#define rand	pan_rand
#define pthread_equal(a,b)	((a)==(b))
#if defined(HAS_CODE) && defined(VERBOSE)
	#ifdef BFS_PAR
		bfs_printf("Pr: %d Tr: %d\n", II, t->forw);
	#else
		cpu_printf("Pr: %d Tr: %d\n", II, t->forw);
	#endif
#endif
	switch (t->forw) {
	default: Uerror("bad forward move");
	case 0:	/* if without executable clauses */
		continue;
	case 1: /* generic 'goto' or 'skip' */
		IfNotBlocked
		_m = 3; goto P999;
	case 2: /* generic 'else' */
		IfNotBlocked
		if (trpt->o_pm&1) continue;
		_m = 3; goto P999;

		 /* PROC sampler */
	case 3: // STATE 1 - code_life.pml:137 - [read = 1] (0:0:1 - 1)
		IfNotBlocked
		reached[2][1] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->read);
		((P2 *)_this)->read = 1;
#ifdef VAR_RANGES
		logval("sampler:read", ((int)((P2 *)_this)->read));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 4: // STATE 2 - code_life.pml:137 - [((read<=3))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][2] = 1;
		if (!((((int)((P2 *)_this)->read)<=3)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 5: // STATE 3 - code_life.pml:140 - [seen_epoch = epoch] (0:0:1 - 1)
		IfNotBlocked
		reached[2][3] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->seen_epoch);
		((P2 *)_this)->seen_epoch = ((int)now.epoch);
#ifdef VAR_RANGES
		logval("sampler:seen_epoch", ((int)((P2 *)_this)->seen_epoch));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 6: // STATE 4 - code_life.pml:142 - [really = running] (0:8:3 - 1)
		IfNotBlocked
		reached[2][4] = 1;
		(trpt+1)->bup.ovals = grab_ints(3);
		(trpt+1)->bup.ovals[0] = ((int)((P2 *)_this)->really);
		((P2 *)_this)->really = ((int)now.running);
#ifdef VAR_RANGES
		logval("sampler:really", ((int)((P2 *)_this)->really));
#endif
		;
		/* merge: called = (running!=0)(8, 5, 8) */
		reached[2][5] = 1;
		(trpt+1)->bup.ovals[1] = ((int)((P2 *)_this)->called);
		((P2 *)_this)->called = (((int)now.running)!=0);
#ifdef VAR_RANGES
		logval("sampler:called", ((int)((P2 *)_this)->called));
#endif
		;
		/* merge: at = instruction(8, 6, 8) */
		reached[2][6] = 1;
		(trpt+1)->bup.ovals[2] = ((int)((P2 *)_this)->at);
		((P2 *)_this)->at = ((int)now.instruction);
#ifdef VAR_RANGES
		logval("sampler:at", ((int)((P2 *)_this)->at));
#endif
		;
		_m = 3; goto P999; /* 2 */
	case 7: // STATE 8 - code_life.pml:149 - [now_epoch = epoch] (0:0:1 - 1)
		IfNotBlocked
		reached[2][8] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->now_epoch);
		((P2 *)_this)->now_epoch = ((int)now.epoch);
#ifdef VAR_RANGES
		logval("sampler:now_epoch", ((int)((P2 *)_this)->now_epoch));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 8: // STATE 16 - code_life.pml:151 - [D_STEP151]
		IfNotBlocked

		reached[2][16] = 1;
		reached[2][t->st] = 1;
		reached[2][tt] = 1;

		if (TstOnly) return 1;

		sv_save();
		S_140_0: /* 2 */
		((P2 *)_this)->known = (((((int)((P2 *)_this)->last_valid)&&(((int)((P2 *)_this)->last_epoch)==((int)((P2 *)_this)->seen_epoch)))&&(((int)((P2 *)_this)->now_epoch)==((int)((P2 *)_this)->seen_epoch)))&&(((int)((P2 *)_this)->called)==((int)((P2 *)_this)->last_called)));
#ifdef VAR_RANGES
		logval("sampler:known", ((int)((P2 *)_this)->known));
#endif
		;
S_141_0: /* 2 */
		((P2 *)_this)->same_codes = ((int)((P2 *)_this)->known);
#ifdef VAR_RANGES
		logval("sampler:same_codes", ((int)((P2 *)_this)->same_codes));
#endif
		;
S_142_0: /* 2 */
		((P2 *)_this)->last_epoch = ((int)((P2 *)_this)->seen_epoch);
#ifdef VAR_RANGES
		logval("sampler:last_epoch", ((int)((P2 *)_this)->last_epoch));
#endif
		;
S_143_0: /* 2 */
		((P2 *)_this)->last_valid = 1;
#ifdef VAR_RANGES
		logval("sampler:last_valid", ((int)((P2 *)_this)->last_valid));
#endif
		;
S_144_0: /* 2 */
		((P2 *)_this)->last_called = ((int)((P2 *)_this)->called);
#ifdef VAR_RANGES
		logval("sampler:last_called", ((int)((P2 *)_this)->last_called));
#endif
		;
S_145_0: /* 2 */
		((P2 *)_this)->resolved = (((int)((P2 *)_this)->known)&&((((int)((P2 *)_this)->at)==((int)((P2 *)_this)->last_at))||(((int)((P2 *)_this)->same_codes)&&(((int)((P2 *)_this)->leaf)!=0))));
#ifdef VAR_RANGES
		logval("sampler:resolved", ((int)((P2 *)_this)->resolved));
#endif
		;
S_146_0: /* 2 */
		((P2 *)_this)->last_at = ((int)((P2 *)_this)->at);
#ifdef VAR_RANGES
		logval("sampler:last_at", ((int)((P2 *)_this)->last_at));
#endif
		;
		goto S_209_0;
S_209_0: /* 1 */

#if defined(C_States) && (HAS_TRACK==1)
		c_update((uchar *) &(now.c_state[0]));
#endif
		_m = 3; goto P999;

	case 9: // STATE 17 - code_life.pml:159 - [((resolved||!(called)))] (0:0:1 - 1)
		IfNotBlocked
		reached[2][17] = 1;
		if (!((((int)((P2 *)_this)->resolved)|| !(((int)((P2 *)_this)->called)))))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: resolved */  (trpt+1)->bup.oval = ((P2 *)_this)->resolved;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P2 *)_this)->resolved = 0;
		_m = 3; goto P999; /* 0 */
	case 10: // STATE 20 - code_life.pml:166 - [((mutex==0))] (23:0:1 - 1)
		IfNotBlocked
		reached[2][20] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 21, 23) */
		reached[2][21] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P2 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 11: // STATE 23 - code_life.pml:167 - [now_epoch = epoch] (0:0:1 - 1)
		IfNotBlocked
		reached[2][23] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->now_epoch);
		((P2 *)_this)->now_epoch = ((int)now.epoch);
#ifdef VAR_RANGES
		logval("sampler:now_epoch", ((int)((P2 *)_this)->now_epoch));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 12: // STATE 24 - code_life.pml:170 - [((now_epoch==last_epoch))] (0:0:1 - 1)
		IfNotBlocked
		reached[2][24] = 1;
		if (!((((int)((P2 *)_this)->now_epoch)==((int)((P2 *)_this)->last_epoch))))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: now_epoch */  (trpt+1)->bup.oval = ((P2 *)_this)->now_epoch;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P2 *)_this)->now_epoch = 0;
		_m = 3; goto P999; /* 0 */
	case 13: // STATE 25 - code_life.pml:38 - [((entry!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][25] = 1;
		if (!((((int)now.entry)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 14: // STATE 26 - code_life.pml:38 - [slot = entry] (0:0:1 - 1)
		IfNotBlocked
		reached[2][26] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->slot);
		((P2 *)_this)->slot = ((int)now.entry);
#ifdef VAR_RANGES
		logval("sampler:slot", ((int)((P2 *)_this)->slot));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 15: // STATE 28 - code_life.pml:39 - [slots = (slots+1)] (0:0:1 - 1)
		IfNotBlocked
		reached[2][28] = 1;
		(trpt+1)->bup.oval = ((int)now.slots);
		now.slots = (((int)now.slots)+1);
#ifdef VAR_RANGES
		logval("slots", ((int)now.slots));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 16: // STATE 29 - code_life.pml:39 - [assert((slots<4))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][29] = 1;
		spin_assert((((int)now.slots)<4), "(slots<4)", II, tt, t);
		_m = 3; goto P999; /* 0 */
	case 17: // STATE 30 - code_life.pml:39 - [entry = slots] (0:0:1 - 1)
		IfNotBlocked
		reached[2][30] = 1;
		(trpt+1)->bup.oval = ((int)now.entry);
		now.entry = ((int)now.slots);
#ifdef VAR_RANGES
		logval("entry", ((int)now.entry));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 18: // STATE 31 - code_life.pml:39 - [slot = slots] (0:0:1 - 1)
		IfNotBlocked
		reached[2][31] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->slot);
		((P2 *)_this)->slot = ((int)now.slots);
#ifdef VAR_RANGES
		logval("sampler:slot", ((int)((P2 *)_this)->slot));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 19: // STATE 32 - code_life.pml:39 - [has_address[slot] = 1] (0:0:1 - 1)
		IfNotBlocked
		reached[2][32] = 1;
		(trpt+1)->bup.oval = ((int)now.has_address[ Index(((int)((P2 *)_this)->slot), 4) ]);
		now.has_address[ Index(((P2 *)_this)->slot, 4) ] = 1;
#ifdef VAR_RANGES
		logval("has_address[sampler:slot]", ((int)now.has_address[ Index(((int)((P2 *)_this)->slot), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 20: // STATE 37 - code_life.pml:171 - [last_valid = 0] (0:0:1 - 1)
		IfNotBlocked
		reached[2][37] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->last_valid);
		((P2 *)_this)->last_valid = 0;
#ifdef VAR_RANGES
		logval("sampler:last_valid", ((int)((P2 *)_this)->last_valid));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 21: // STATE 40 - code_life.pml:173 - [assert((mutex==(_pid+1)))] (0:70:1 - 1)
		IfNotBlocked
		reached[2][40] = 1;
		spin_assert((((int)now.mutex)==(((int)((P2 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(70, 41, 70) */
		reached[2][41] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 22: // STATE 43 - code_life.pml:176 - [((last_valid&&(units_of[slot]==0)))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][43] = 1;
		if (!((((int)((P2 *)_this)->last_valid)&&(((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ])==0))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 23: // STATE 44 - code_life.pml:178 - [((here!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][44] = 1;
		if (!((((int)now.here)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 24: // STATE 45 - code_life.pml:178 - [units_of[slot] = here] (0:0:1 - 1)
		IfNotBlocked
		reached[2][45] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]);
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = ((int)now.here);
#ifdef VAR_RANGES
		logval("sampler:units_of[sampler:slot]", ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 25: // STATE 48 - code_life.pml:180 - [(((here==0)&&(dead!=0)))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][48] = 1;
		if (!(((((int)now.here)==0)&&(((int)now.dead)!=0))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 26: // STATE 49 - code_life.pml:180 - [units_of[slot] = dead] (0:0:1 - 1)
		IfNotBlocked
		reached[2][49] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]);
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = ((int)now.dead);
#ifdef VAR_RANGES
		logval("sampler:units_of[sampler:slot]", ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 27: // STATE 47 - code_life.pml:179 - [units_of[slot] = 9] (0:0:1 - 1)
		IfNotBlocked
		reached[2][47] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]);
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = 9;
#ifdef VAR_RANGES
		logval("sampler:units_of[sampler:slot]", ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 28: // STATE 52 - code_life.pml:183 - [((units_of[slot]==9))] (56:0:1 - 1)
		IfNotBlocked
		reached[2][52] = 1;
		if (!((((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ])==9)))
			continue;
		/* merge: units_of[slot] = 0(0, 53, 56) */
		reached[2][53] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]);
		((P2 *)_this)->units_of[ Index(((P2 *)_this)->slot, 4) ] = 0;
#ifdef VAR_RANGES
		logval("sampler:units_of[sampler:slot]", ((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->slot), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 29: // STATE 54 - code_life.pml:185 - [((mutex==0))] (60:0:1 - 1)
		IfNotBlocked
		reached[2][54] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 55, 60) */
		reached[2][55] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P2 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 30: // STATE 57 - code_life.pml:190 - [((epoch==last_epoch))] (0:0:0 - 1)
		IfNotBlocked
		reached[2][57] = 1;
		if (!((((int)now.epoch)==((int)((P2 *)_this)->last_epoch))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 31: // STATE 58 - code_life.pml:190 - [assert(0)] (0:0:0 - 1)
		IfNotBlocked
		reached[2][58] = 1;
		spin_assert(0, "0", II, tt, t);
		_m = 3; goto P999; /* 0 */
	case 32: // STATE 62 - code_life.pml:194 - [assert((mutex==(_pid+1)))] (0:75:2 - 1)
		IfNotBlocked
		reached[2][62] = 1;
		spin_assert((((int)now.mutex)==(((int)((P2 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(75, 63, 75) */
		reached[2][63] = 1;
		(trpt+1)->bup.ovals = grab_ints(2);
		(trpt+1)->bup.ovals[0] = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		/* merge: last_valid = 0(75, 65, 75) */
		reached[2][65] = 1;
		(trpt+1)->bup.ovals[1] = ((int)((P2 *)_this)->last_valid);
		((P2 *)_this)->last_valid = 0;
#ifdef VAR_RANGES
		logval("sampler:last_valid", ((int)((P2 *)_this)->last_valid));
#endif
		;
		/* merge: .(goto)(0, 68, 75) */
		reached[2][68] = 1;
		;
		/* merge: .(goto)(0, 71, 75) */
		reached[2][71] = 1;
		;
		_m = 3; goto P999; /* 4 */
	case 33: // STATE 72 - code_life.pml:202 - [((last_valid&&(epoch!=last_epoch)))] (0:0:1 - 1)
		IfNotBlocked
		reached[2][72] = 1;
		if (!((((int)((P2 *)_this)->last_valid)&&(((int)now.epoch)!=((int)((P2 *)_this)->last_epoch)))))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: last_valid */  (trpt+1)->bup.oval = ((P2 *)_this)->last_valid;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P2 *)_this)->last_valid = 0;
		_m = 3; goto P999; /* 0 */
	case 34: // STATE 73 - code_life.pml:202 - [last_valid = 0] (0:87:2 - 1)
		IfNotBlocked
		reached[2][73] = 1;
		(trpt+1)->bup.ovals = grab_ints(2);
		(trpt+1)->bup.ovals[0] = ((int)((P2 *)_this)->last_valid);
		((P2 *)_this)->last_valid = 0;
#ifdef VAR_RANGES
		logval("sampler:last_valid", ((int)((P2 *)_this)->last_valid));
#endif
		;
		/* merge: .(goto)(87, 76, 87) */
		reached[2][76] = 1;
		;
		/* merge: leaf = ( (last_valid) -> (slot) : (leaf) )(87, 77, 87) */
		reached[2][77] = 1;
		(trpt+1)->bup.ovals[1] = ((int)((P2 *)_this)->leaf);
		((P2 *)_this)->leaf = ( (((int)((P2 *)_this)->last_valid)) ? (((int)((P2 *)_this)->slot)) : (((int)((P2 *)_this)->leaf)) );
#ifdef VAR_RANGES
		logval("sampler:leaf", ((int)((P2 *)_this)->leaf));
#endif
		;
		/* merge: .(goto)(0, 79, 87) */
		reached[2][79] = 1;
		;
		_m = 3; goto P999; /* 3 */
	case 35: // STATE 77 - code_life.pml:206 - [leaf = ( (last_valid) -> (slot) : (leaf) )] (0:87:1 - 3)
		IfNotBlocked
		reached[2][77] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->leaf);
		((P2 *)_this)->leaf = ( (((int)((P2 *)_this)->last_valid)) ? (((int)((P2 *)_this)->slot)) : (((int)((P2 *)_this)->leaf)) );
#ifdef VAR_RANGES
		logval("sampler:leaf", ((int)((P2 *)_this)->leaf));
#endif
		;
		/* merge: .(goto)(0, 79, 87) */
		reached[2][79] = 1;
		;
		_m = 3; goto P999; /* 1 */
	case 36: // STATE 80 - code_life.pml:210 - [((last_valid&&called))] (0:0:1 - 1)
		IfNotBlocked
		reached[2][80] = 1;
		if (!((((int)((P2 *)_this)->last_valid)&&((int)((P2 *)_this)->called))))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: called */  (trpt+1)->bup.oval = ((P2 *)_this)->called;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P2 *)_this)->called = 0;
		_m = 3; goto P999; /* 0 */
	case 37: // STATE 85 - code_life.pml:211 - [D_STEP211]
		/* default 258 */
		

		reached[2][85] = 1;
		reached[2][t->st] = 1;
		reached[2][tt] = 1;

		if (TstOnly) return 1;


		reached[2][85] = 1;
		reached[2][t->st] = 1;
		reached[2][tt] = 1;

		sv_save();
		S_214_0: /* 2 */
S_212_0: /* 2 */
		spin_assert(((((int)((P2 *)_this)->leaf)!=0)&&((((int)now.belongs[ Index(((int)((P2 *)_this)->leaf), 4) ])==0)||(((int)now.belongs[ Index(((int)((P2 *)_this)->leaf), 4) ])==((int)((P2 *)_this)->really)))), "((leaf!=0)&&((belongs[leaf]==0)||(belongs[leaf]==really)))", II, tt, t);
S_213_0: /* 2 */
		now.belongs[ Index(((P2 *)_this)->leaf, 4) ] = ((int)((P2 *)_this)->really);
#ifdef VAR_RANGES
		logval("belongs[sampler:leaf]", ((int)now.belongs[ Index(((int)((P2 *)_this)->leaf), 4) ]));
#endif
		;
		goto S_215_0;
S_215_0: /* 2 */
		spin_assert((((int)((P2 *)_this)->units_of[ Index(((int)((P2 *)_this)->leaf), 4) ])==((int)((P2 *)_this)->really)), "(units_of[leaf]==really)", II, tt, t);
		goto S_219_0;
S_219_0: /* 1 */

#if defined(C_States) && (HAS_TRACK==1)
		c_update((uchar *) &(now.c_state[0]));
#endif
		_m = 3; goto P999;

	case 38: // STATE 89 - code_life.pml:137 - [read = (read+1)] (0:92:1 - 3)
		IfNotBlocked
		reached[2][89] = 1;
		(trpt+1)->bup.oval = ((int)((P2 *)_this)->read);
		((P2 *)_this)->read = (((int)((P2 *)_this)->read)+1);
#ifdef VAR_RANGES
		logval("sampler:read", ((int)((P2 *)_this)->read));
#endif
		;
		/* merge: .(goto)(0, 93, 92) */
		reached[2][93] = 1;
		;
		_m = 3; goto P999; /* 1 */
	case 39: // STATE 95 - code_life.pml:218 - [-end-] (0:0:0 - 3)
		IfNotBlocked
		reached[2][95] = 1;
		if (!delproc(1, II)) continue;
		_m = 3; goto P999; /* 0 */

		 /* PROC snapshot */
	case 40: // STATE 1 - code_life.pml:105 - [((slots>0))] (0:0:0 - 1)
		IfNotBlocked
		reached[1][1] = 1;
		if (!((((int)now.slots)>0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 41: // STATE 2 - code_life.pml:105 - [slot = 1] (0:0:1 - 1)
		IfNotBlocked
		reached[1][2] = 1;
		(trpt+1)->bup.oval = ((int)((P1 *)_this)->slot);
		((P1 *)_this)->slot = 1;
#ifdef VAR_RANGES
		logval("snapshot:slot", ((int)((P1 *)_this)->slot));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 42: // STATE 3 - code_life.pml:106 - [((mutex==0))] (6:0:1 - 1)
		IfNotBlocked
		reached[1][3] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 4, 6) */
		reached[1][4] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P1 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 43: // STATE 6 - code_life.pml:107 - [address_of = has_address[slot]] (0:0:1 - 1)
		IfNotBlocked
		reached[1][6] = 1;
		(trpt+1)->bup.oval = ((int)((P1 *)_this)->address_of);
		((P1 *)_this)->address_of = ((int)now.has_address[ Index(((int)((P1 *)_this)->slot), 4) ]);
#ifdef VAR_RANGES
		logval("snapshot:address_of", ((int)((P1 *)_this)->address_of));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 44: // STATE 7 - code_life.pml:108 - [assert((mutex==(_pid+1)))] (0:39:1 - 1)
		IfNotBlocked
		reached[1][7] = 1;
		spin_assert((((int)now.mutex)==(((int)((P1 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(39, 8, 39) */
		reached[1][8] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 45: // STATE 10 - code_life.pml:110 - [(address_of)] (0:0:1 - 1)
		IfNotBlocked
		reached[1][10] = 1;
		if (!(((int)((P1 *)_this)->address_of)))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: address_of */  (trpt+1)->bup.oval = ((P1 *)_this)->address_of;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P1 *)_this)->address_of = 0;
		_m = 3; goto P999; /* 0 */
	case 46: // STATE 11 - code_life.pml:114 - [kind = here] (0:0:1 - 1)
		IfNotBlocked
		reached[1][11] = 1;
		(trpt+1)->bup.oval = ((int)((P1 *)_this)->kind);
		((P1 *)_this)->kind = ((int)now.here);
#ifdef VAR_RANGES
		logval("snapshot:kind", ((int)((P1 *)_this)->kind));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 47: // STATE 12 - code_life.pml:116 - [(((kind!=0)&&(kind!=9)))] (0:0:1 - 1)
		IfNotBlocked
		reached[1][12] = 1;
		if (!(((((int)((P1 *)_this)->kind)!=0)&&(((int)((P1 *)_this)->kind)!=9))))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: kind */  (trpt+1)->bup.oval = ((P1 *)_this)->kind;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P1 *)_this)->kind = 0;
		_m = 3; goto P999; /* 0 */
	case 48: // STATE 13 - code_life.pml:117 - [((life==0))] (18:0:1 - 1)
		IfNotBlocked
		reached[1][13] = 1;
		if (!((((int)now.life)==0)))
			continue;
		/* merge: life = (_pid+1)(0, 14, 18) */
		reached[1][14] = 1;
		(trpt+1)->bup.oval = ((int)now.life);
		now.life = (((int)((P1 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("life", ((int)now.life));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 49: // STATE 16 - code_life.pml:118 - [((mutex==0))] (19:0:1 - 1)
		IfNotBlocked
		reached[1][16] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 17, 19) */
		reached[1][17] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P1 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 50: // STATE 19 - code_life.pml:119 - [address_of = has_address[slot]] (0:0:1 - 1)
		IfNotBlocked
		reached[1][19] = 1;
		(trpt+1)->bup.oval = ((int)((P1 *)_this)->address_of);
		((P1 *)_this)->address_of = ((int)now.has_address[ Index(((int)((P1 *)_this)->slot), 4) ]);
#ifdef VAR_RANGES
		logval("snapshot:address_of", ((int)((P1 *)_this)->address_of));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 51: // STATE 20 - code_life.pml:120 - [assert((mutex==(_pid+1)))] (0:30:1 - 1)
		IfNotBlocked
		reached[1][20] = 1;
		spin_assert((((int)now.mutex)==(((int)((P1 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(30, 21, 30) */
		reached[1][21] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 52: // STATE 23 - code_life.pml:122 - [(address_of)] (0:0:1 - 1)
		IfNotBlocked
		reached[1][23] = 1;
		if (!(((int)((P1 *)_this)->address_of)))
			continue;
		if (TstOnly) return 1; /* TT */
		/* dead 1: address_of */  (trpt+1)->bup.oval = ((P1 *)_this)->address_of;
#ifdef HAS_CODE
		if (!readtrail)
#endif
			((P1 *)_this)->address_of = 0;
		_m = 3; goto P999; /* 0 */
	case 53: // STATE 24 - code_life.pml:122 - [assert(((here!=0)&&(here!=9)))] (0:0:0 - 1)
		IfNotBlocked
		reached[1][24] = 1;
		spin_assert(((((int)now.here)!=0)&&(((int)now.here)!=9)), "((here!=0)&&(here!=9))", II, tt, t);
		_m = 3; goto P999; /* 0 */
	case 54: // STATE 25 - code_life.pml:31 - [assert(((slot!=0)&&((belongs[slot]==0)||(belongs[slot]==here))))] (0:34:1 - 1)
		IfNotBlocked
		reached[1][25] = 1;
		spin_assert(((((int)((P1 *)_this)->slot)!=0)&&((((int)now.belongs[ Index(((int)((P1 *)_this)->slot), 4) ])==0)||(((int)now.belongs[ Index(((int)((P1 *)_this)->slot), 4) ])==((int)now.here)))), "((slot!=0)&&((belongs[slot]==0)||(belongs[slot]==here)))", II, tt, t);
		/* merge: belongs[slot] = here(34, 26, 34) */
		reached[1][26] = 1;
		(trpt+1)->bup.oval = ((int)now.belongs[ Index(((int)((P1 *)_this)->slot), 4) ]);
		now.belongs[ Index(((P1 *)_this)->slot, 4) ] = ((int)now.here);
#ifdef VAR_RANGES
		logval("belongs[snapshot:slot]", ((int)now.belongs[ Index(((int)((P1 *)_this)->slot), 4) ]));
#endif
		;
		/* merge: .(goto)(0, 31, 34) */
		reached[1][31] = 1;
		;
		_m = 3; goto P999; /* 2 */
	case 55: // STATE 32 - code_life.pml:125 - [assert((life==(_pid+1)))] (0:41:1 - 1)
		IfNotBlocked
		reached[1][32] = 1;
		spin_assert((((int)now.life)==(((int)((P1 *)_this)->_pid)+1)), "(life==(_pid+1))", II, tt, t);
		/* merge: life = 0(41, 33, 41) */
		reached[1][33] = 1;
		(trpt+1)->bup.oval = ((int)now.life);
		now.life = 0;
#ifdef VAR_RANGES
		logval("life", ((int)now.life));
#endif
		;
		/* merge: .(goto)(0, 37, 41) */
		reached[1][37] = 1;
		;
		/* merge: .(goto)(0, 40, 41) */
		reached[1][40] = 1;
		;
		_m = 3; goto P999; /* 3 */
	case 56: // STATE 41 - code_life.pml:130 - [-end-] (0:0:0 - 5)
		IfNotBlocked
		reached[1][41] = 1;
		if (!delproc(1, II)) continue;
		_m = 3; goto P999; /* 0 */

		 /* PROC program */
	case 57: // STATE 1 - code_life.pml:78 - [step = 1] (0:0:1 - 1)
		IfNotBlocked
		reached[0][1] = 1;
		(trpt+1)->bup.oval = ((int)((P0 *)_this)->step);
		((P0 *)_this)->step = 1;
#ifdef VAR_RANGES
		logval("program:step", ((int)((P0 *)_this)->step));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 58: // STATE 2 - code_life.pml:78 - [((step<=6))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][2] = 1;
		if (!((((int)((P0 *)_this)->step)<=6)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 59: // STATE 3 - code_life.pml:80 - [(((here==0)&&(born<2)))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][3] = 1;
		if (!(((((int)now.here)==0)&&(((int)now.born)<2))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 60: // STATE 4 - code_life.pml:80 - [born = (born+1)] (0:88:4 - 1)
		IfNotBlocked
		reached[0][4] = 1;
		(trpt+1)->bup.ovals = grab_ints(4);
		(trpt+1)->bup.ovals[0] = ((int)now.born);
		now.born = (((int)now.born)+1);
#ifdef VAR_RANGES
		logval("born", ((int)now.born));
#endif
		;
		/* merge: here = born(88, 5, 88) */
		reached[0][5] = 1;
		(trpt+1)->bup.ovals[1] = ((int)now.here);
		now.here = ((int)now.born);
#ifdef VAR_RANGES
		logval("here", ((int)now.here));
#endif
		;
		/* merge: tracer_slot = 0(88, 6, 88) */
		reached[0][6] = 1;
		(trpt+1)->bup.ovals[2] = ((int)now.tracer_slot);
		now.tracer_slot = 0;
#ifdef VAR_RANGES
		logval("tracer_slot", ((int)now.tracer_slot));
#endif
		;
		/* merge: .(goto)(88, 84, 88) */
		reached[0][84] = 1;
		;
		/* merge: step = (step+1)(88, 85, 88) */
		reached[0][85] = 1;
		(trpt+1)->bup.ovals[3] = ((int)((P0 *)_this)->step);
		((P0 *)_this)->step = (((int)((P0 *)_this)->step)+1);
#ifdef VAR_RANGES
		logval("program:step", ((int)((P0 *)_this)->step));
#endif
		;
		/* merge: .(goto)(0, 89, 88) */
		reached[0][89] = 1;
		;
		_m = 3; goto P999; /* 5 */
	case 61: // STATE 8 - code_life.pml:81 - [((here==0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][8] = 1;
		if (!((((int)now.here)==0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 62: // STATE 9 - code_life.pml:81 - [here = 9] (0:0:1 - 1)
		IfNotBlocked
		reached[0][9] = 1;
		(trpt+1)->bup.oval = ((int)now.here);
		now.here = 9;
#ifdef VAR_RANGES
		logval("here", ((int)now.here));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 63: // STATE 10 - code_life.pml:82 - [((here==9))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][10] = 1;
		if (!((((int)now.here)==9)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 64: // STATE 11 - code_life.pml:82 - [here = 0] (0:0:1 - 1)
		IfNotBlocked
		reached[0][11] = 1;
		(trpt+1)->bup.oval = ((int)now.here);
		now.here = 0;
#ifdef VAR_RANGES
		logval("here", ((int)now.here));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 65: // STATE 12 - code_life.pml:83 - [((((here!=0)&&(here!=9))&&(running==0)))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][12] = 1;
		if (!((((((int)now.here)!=0)&&(((int)now.here)!=9))&&(((int)now.running)==0))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 66: // STATE 13 - code_life.pml:83 - [running = here] (0:88:3 - 1)
		IfNotBlocked
		reached[0][13] = 1;
		(trpt+1)->bup.ovals = grab_ints(3);
		(trpt+1)->bup.ovals[0] = ((int)now.running);
		now.running = ((int)now.here);
#ifdef VAR_RANGES
		logval("running", ((int)now.running));
#endif
		;
		/* merge: instruction = 0(88, 14, 88) */
		reached[0][14] = 1;
		(trpt+1)->bup.ovals[1] = ((int)now.instruction);
		now.instruction = 0;
#ifdef VAR_RANGES
		logval("instruction", ((int)now.instruction));
#endif
		;
		/* merge: .(goto)(88, 84, 88) */
		reached[0][84] = 1;
		;
		/* merge: step = (step+1)(88, 85, 88) */
		reached[0][85] = 1;
		(trpt+1)->bup.ovals[2] = ((int)((P0 *)_this)->step);
		((P0 *)_this)->step = (((int)((P0 *)_this)->step)+1);
#ifdef VAR_RANGES
		logval("program:step", ((int)((P0 *)_this)->step));
#endif
		;
		/* merge: .(goto)(0, 89, 88) */
		reached[0][89] = 1;
		;
		_m = 3; goto P999; /* 4 */
	case 67: // STATE 16 - code_life.pml:84 - [((running!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][16] = 1;
		if (!((((int)now.running)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 68: // STATE 17 - code_life.pml:84 - [instruction = (1-instruction)] (0:0:1 - 1)
		IfNotBlocked
		reached[0][17] = 1;
		(trpt+1)->bup.oval = ((int)now.instruction);
		now.instruction = (1-((int)now.instruction));
#ifdef VAR_RANGES
		logval("instruction", ((int)now.instruction));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 69: // STATE 18 - code_life.pml:85 - [((running!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][18] = 1;
		if (!((((int)now.running)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 70: // STATE 19 - code_life.pml:85 - [running = 0] (0:0:1 - 1)
		IfNotBlocked
		reached[0][19] = 1;
		(trpt+1)->bup.oval = ((int)now.running);
		now.running = 0;
#ifdef VAR_RANGES
		logval("running", ((int)now.running));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 71: // STATE 20 - code_life.pml:86 - [((((here!=0)&&(here!=9))&&(running==0)))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][20] = 1;
		if (!((((((int)now.here)!=0)&&(((int)now.here)!=9))&&(((int)now.running)==0))))
			continue;
		_m = 3; goto P999; /* 0 */
	case 72: // STATE 21 - code_life.pml:54 - [((life==0))] (26:0:1 - 1)
		IfNotBlocked
		reached[0][21] = 1;
		if (!((((int)now.life)==0)))
			continue;
		/* merge: life = (_pid+1)(0, 22, 26) */
		reached[0][22] = 1;
		(trpt+1)->bup.oval = ((int)now.life);
		now.life = (((int)((P0 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("life", ((int)now.life));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 73: // STATE 24 - code_life.pml:59 - [((mutex==0))] (36:0:1 - 1)
		IfNotBlocked
		reached[0][24] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 25, 36) */
		reached[0][25] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P0 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 74: // STATE 36 - code_life.pml:60 - [D_STEP60]
		IfNotBlocked

		reached[0][36] = 1;
		reached[0][t->st] = 1;
		reached[0][tt] = 1;

		if (TstOnly) return 1;


		reached[0][36] = 1;
		reached[0][t->st] = 1;
		reached[0][tt] = 1;

		sv_save();
		S_034_0: /* 2 */
S_026_0: /* 2 */
		now.epoch = (((int)now.epoch)+1);
#ifdef VAR_RANGES
		logval("epoch", ((int)now.epoch));
#endif
		;
S_027_0: /* 2 */
		((P0 *)_this)->mine = ((int)now.entry);
#ifdef VAR_RANGES
		logval("program:mine", ((int)((P0 *)_this)->mine));
#endif
		;
S_032_0: /* 2 */
S_028_0: /* 2 */
		if (!((((int)now.entry)!=0)))
			goto S_032_1;
S_029_0: /* 2 */
		now.has_address[ Index(now.entry, 4) ] = 0;
#ifdef VAR_RANGES
		logval("has_address[entry]", ((int)now.has_address[ Index(((int)now.entry), 4) ]));
#endif
		;
S_030_0: /* 2 */
		now.entry = 0;
#ifdef VAR_RANGES
		logval("entry", ((int)now.entry));
#endif
		;
		goto S_033_0;
S_032_1: /* 3 */
S_031_0: /* 2 */
		/* else */;
		goto S_033_0;
S_032_2: /* 3 */
		Uerror("blocking sel in d_step (nr.0, near line 46)");
S_033_0: /* 2 */
		goto S_038_0;
S_038_0: /* 1 */

#if defined(C_States) && (HAS_TRACK==1)
		c_update((uchar *) &(now.c_state[0]));
#endif
		_m = 3; goto P999;

	case 75: // STATE 37 - code_life.pml:61 - [assert((mutex==(_pid+1)))] (0:47:1 - 1)
		IfNotBlocked
		reached[0][37] = 1;
		spin_assert((((int)now.mutex)==(((int)((P0 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(47, 38, 47) */
		reached[0][38] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 76: // STATE 40 - code_life.pml:64 - [((mine!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][40] = 1;
		if (!((((int)((P0 *)_this)->mine)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 77: // STATE 41 - code_life.pml:64 - [assert(((here!=0)&&(here!=dead)))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][41] = 1;
		spin_assert(((((int)now.here)!=0)&&(((int)now.here)!=((int)now.dead))), "((here!=0)&&(here!=dead))", II, tt, t);
		_m = 3; goto P999; /* 0 */
	case 78: // STATE 42 - code_life.pml:31 - [assert(((mine!=0)&&((belongs[mine]==0)||(belongs[mine]==here))))] (0:51:1 - 1)
		IfNotBlocked
		reached[0][42] = 1;
		spin_assert(((((int)((P0 *)_this)->mine)!=0)&&((((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ])==0)||(((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ])==((int)now.here)))), "((mine!=0)&&((belongs[mine]==0)||(belongs[mine]==here)))", II, tt, t);
		/* merge: belongs[mine] = here(51, 43, 51) */
		reached[0][43] = 1;
		(trpt+1)->bup.oval = ((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ]);
		now.belongs[ Index(((P0 *)_this)->mine, 4) ] = ((int)now.here);
#ifdef VAR_RANGES
		logval("belongs[program:mine]", ((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ]));
#endif
		;
		/* merge: .(goto)(0, 48, 51) */
		reached[0][48] = 1;
		;
		_m = 3; goto P999; /* 2 */
	case 79: // STATE 49 - code_life.pml:68 - [assert((life==(_pid+1)))] (0:52:1 - 1)
		IfNotBlocked
		reached[0][49] = 1;
		spin_assert((((int)now.life)==(((int)((P0 *)_this)->_pid)+1)), "(life==(_pid+1))", II, tt, t);
		/* merge: life = 0(52, 50, 52) */
		reached[0][50] = 1;
		(trpt+1)->bup.oval = ((int)now.life);
		now.life = 0;
#ifdef VAR_RANGES
		logval("life", ((int)now.life));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 80: // STATE 52 - code_life.pml:70 - [dead = here] (0:0:1 - 1)
		IfNotBlocked
		reached[0][52] = 1;
		(trpt+1)->bup.oval = ((int)now.dead);
		now.dead = ((int)now.here);
#ifdef VAR_RANGES
		logval("dead", ((int)now.dead));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 81: // STATE 53 - code_life.pml:70 - [here = 0] (0:0:1 - 1)
		IfNotBlocked
		reached[0][53] = 1;
		(trpt+1)->bup.oval = ((int)now.here);
		now.here = 0;
#ifdef VAR_RANGES
		logval("here", ((int)now.here));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 82: // STATE 54 - code_life.pml:72 - [tracer_slot = 0] (0:0:1 - 1)
		IfNotBlocked
		reached[0][54] = 1;
		(trpt+1)->bup.oval = ((int)now.tracer_slot);
		now.tracer_slot = 0;
#ifdef VAR_RANGES
		logval("tracer_slot", ((int)now.tracer_slot));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 83: // STATE 56 - code_life.pml:87 - [((running!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][56] = 1;
		if (!((((int)now.running)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 84: // STATE 57 - code_life.pml:88 - [((mutex==0))] (70:0:1 - 1)
		IfNotBlocked
		reached[0][57] = 1;
		if (!((((int)now.mutex)==0)))
			continue;
		/* merge: mutex = (_pid+1)(0, 58, 70) */
		reached[0][58] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = (((int)((P0 *)_this)->_pid)+1);
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 85: // STATE 60 - code_life.pml:38 - [((entry!=0))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][60] = 1;
		if (!((((int)now.entry)!=0)))
			continue;
		_m = 3; goto P999; /* 0 */
	case 86: // STATE 61 - code_life.pml:38 - [mine = entry] (0:0:1 - 1)
		IfNotBlocked
		reached[0][61] = 1;
		(trpt+1)->bup.oval = ((int)((P0 *)_this)->mine);
		((P0 *)_this)->mine = ((int)now.entry);
#ifdef VAR_RANGES
		logval("program:mine", ((int)((P0 *)_this)->mine));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 87: // STATE 63 - code_life.pml:39 - [slots = (slots+1)] (0:0:1 - 1)
		IfNotBlocked
		reached[0][63] = 1;
		(trpt+1)->bup.oval = ((int)now.slots);
		now.slots = (((int)now.slots)+1);
#ifdef VAR_RANGES
		logval("slots", ((int)now.slots));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 88: // STATE 64 - code_life.pml:39 - [assert((slots<4))] (0:0:0 - 1)
		IfNotBlocked
		reached[0][64] = 1;
		spin_assert((((int)now.slots)<4), "(slots<4)", II, tt, t);
		_m = 3; goto P999; /* 0 */
	case 89: // STATE 65 - code_life.pml:39 - [entry = slots] (0:0:1 - 1)
		IfNotBlocked
		reached[0][65] = 1;
		(trpt+1)->bup.oval = ((int)now.entry);
		now.entry = ((int)now.slots);
#ifdef VAR_RANGES
		logval("entry", ((int)now.entry));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 90: // STATE 66 - code_life.pml:39 - [mine = slots] (0:0:1 - 1)
		IfNotBlocked
		reached[0][66] = 1;
		(trpt+1)->bup.oval = ((int)((P0 *)_this)->mine);
		((P0 *)_this)->mine = ((int)now.slots);
#ifdef VAR_RANGES
		logval("program:mine", ((int)((P0 *)_this)->mine));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 91: // STATE 67 - code_life.pml:39 - [has_address[mine] = 1] (0:0:1 - 1)
		IfNotBlocked
		reached[0][67] = 1;
		(trpt+1)->bup.oval = ((int)now.has_address[ Index(((int)((P0 *)_this)->mine), 4) ]);
		now.has_address[ Index(((P0 *)_this)->mine, 4) ] = 1;
#ifdef VAR_RANGES
		logval("has_address[program:mine]", ((int)now.has_address[ Index(((int)((P0 *)_this)->mine), 4) ]));
#endif
		;
		_m = 3; goto P999; /* 0 */
	case 92: // STATE 71 - code_life.pml:90 - [assert((mutex==(_pid+1)))] (0:80:1 - 1)
		IfNotBlocked
		reached[0][71] = 1;
		spin_assert((((int)now.mutex)==(((int)((P0 *)_this)->_pid)+1)), "(mutex==(_pid+1))", II, tt, t);
		/* merge: mutex = 0(80, 72, 80) */
		reached[0][72] = 1;
		(trpt+1)->bup.oval = ((int)now.mutex);
		now.mutex = 0;
#ifdef VAR_RANGES
		logval("mutex", ((int)now.mutex));
#endif
		;
		_m = 3; goto P999; /* 1 */
	case 93: // STATE 80 - code_life.pml:91 - [D_STEP91]
		/* default 258 */
		

		reached[0][80] = 1;
		reached[0][t->st] = 1;
		reached[0][tt] = 1;

		if (TstOnly) return 1;


		reached[0][80] = 1;
		reached[0][t->st] = 1;
		reached[0][tt] = 1;

		sv_save();
		S_075_0: /* 2 */
S_073_0: /* 2 */
		spin_assert(((((int)((P0 *)_this)->mine)!=0)&&((((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ])==0)||(((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ])==((int)now.here)))), "((mine!=0)&&((belongs[mine]==0)||(belongs[mine]==here)))", II, tt, t);
S_074_0: /* 2 */
		now.belongs[ Index(((P0 *)_this)->mine, 4) ] = ((int)now.here);
#ifdef VAR_RANGES
		logval("belongs[program:mine]", ((int)now.belongs[ Index(((int)((P0 *)_this)->mine), 4) ]));
#endif
		;
		goto S_076_0;
S_076_0: /* 2 */
		spin_assert(((((int)now.tracer_slot)==0)||(((int)now.tracer_slot)==((int)((P0 *)_this)->mine))), "((tracer_slot==0)||(tracer_slot==mine))", II, tt, t);
S_077_0: /* 2 */
		now.tracer_slot = ((int)((P0 *)_this)->mine);
#ifdef VAR_RANGES
		logval("tracer_slot", ((int)now.tracer_slot));
#endif
		;
S_078_0: /* 2 */
		((P0 *)_this)->mine = 0;
#ifdef VAR_RANGES
		logval("program:mine", ((int)((P0 *)_this)->mine));
#endif
		;
		goto S_083_0;
S_083_0: /* 1 */

#if defined(C_States) && (HAS_TRACK==1)
		c_update((uchar *) &(now.c_state[0]));
#endif
		_m = 3; goto P999;

	case 94: // STATE 82 - code_life.pml:97 - [(1)] (88:0:1 - 1)
		IfNotBlocked
		reached[0][82] = 1;
		if (!(1))
			continue;
		/* merge: .(goto)(88, 84, 88) */
		reached[0][84] = 1;
		;
		/* merge: step = (step+1)(88, 85, 88) */
		reached[0][85] = 1;
		(trpt+1)->bup.oval = ((int)((P0 *)_this)->step);
		((P0 *)_this)->step = (((int)((P0 *)_this)->step)+1);
#ifdef VAR_RANGES
		logval("program:step", ((int)((P0 *)_this)->step));
#endif
		;
		/* merge: .(goto)(0, 89, 88) */
		reached[0][89] = 1;
		;
		_m = 3; goto P999; /* 3 */
	case 95: // STATE 85 - code_life.pml:78 - [step = (step+1)] (0:88:1 - 10)
		IfNotBlocked
		reached[0][85] = 1;
		(trpt+1)->bup.oval = ((int)((P0 *)_this)->step);
		((P0 *)_this)->step = (((int)((P0 *)_this)->step)+1);
#ifdef VAR_RANGES
		logval("program:step", ((int)((P0 *)_this)->step));
#endif
		;
		/* merge: .(goto)(0, 89, 88) */
		reached[0][89] = 1;
		;
		_m = 3; goto P999; /* 1 */
	case 96: // STATE 91 - code_life.pml:100 - [-end-] (0:0:0 - 3)
		IfNotBlocked
		reached[0][91] = 1;
		if (!delproc(1, II)) continue;
		_m = 3; goto P999; /* 0 */
	case  _T5:	/* np_ */
		if (!((!(trpt->o_pm&4) && !(trpt->tau&128))))
			continue;
		/* else fall through */
	case  _T2:	/* true */
		_m = 3; goto P999;
#undef rand
	}

