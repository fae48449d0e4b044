"""What people say about customers, sales, shops, marketing, contracts and goods; written as `hints.py` tells."""

from typing import Final

TRADE: Final = """
hand_to give_to belongs_to_now take_over should_take look_after_this > assign issue person ticket
docusign signature sign_this signatures signed_by sign_by get_signed have_signed countersign > sign signature
  contract
crm lead leads prospect fair business_card met_at meets met > crm contact person company
who_works_at phone_number_of number_of_contact reach_at do_we_know know_anybody contact_at > contact find crm person
negotiate negotiating negotiation opportunity opportunities deal deals closing close_to pipeline_sales funnel_sales
  proposal prospecting demo about_to_sign signed_soon stage > deal stage sales opportunity
worth_about might_buy wants_to_buy interested_in potential new_opportunity > deal opportunity create company
expect_to_sell expected_sales next_quarter this_quarter how_much_sell target_quarter projected > forecast sales
  revenue quarter
who_looks responsible_for_region which_rep account_manager whose_account whose_territory key_account > territory
  representative owner region
anyone_else_reported similar_tickets other_tickets known_problem reported_before > ticket search find
answer_customer tell_the_customer let_customer_know write_to_customer apologize apologise technician write_in_ticket
  write_the_customer tell_the_client > reply ticket customer answer
first_line second_line second_level level_2 l2 specialist tier over_my_head stuck_on can't_solve can't_fix
  someone_more_experienced more_experienced expert_needed needs_an_expert > escalate ticket level
happy_now working_again solved_it problem_gone customer_confirmed > close ticket solved resolve
same_problem same_outage same_issue reported_twice one_of_them make_one belong_together > merge ticket join same
  problem
nps csat survey happy_are satisfied satisfaction score feedback_scores > satisfaction survey customer
standard_text standard_answer template boilerplate stock_reply macro snippet usual_answer > canned answer ready-made
  question
help_article faq how_do_customers instructions self_service manual public_article for_customers_explains
  explains_how tell_customers_how customers_find how_to_change > help centre article search
invoice invoices bill bills billed billing > invoice customer
unpaid overdue haven't_paid hasn't_paid still_owe owes_us owe late_paying dunning > invoice unpaid reminder overdue
chase nag friendly_reminder still_waiting_money pay_up weeks_late firm month_late days_late be_polite polite
  politely > payment reminder unpaid invoice
charge_for invoice_for bill_for consulting_days hours_billed weeks_to_pay days_to_pay > create invoice bill
money_back refund reimburse_customer give_back paid_twice overcharged charged_twice double_charged > refund payment
  money
went_through come_through arrived_yet money_arrive declined money_come > payment status arrived failed
subscribed subscription plan_on plans on_which_plan what_pays paying_for signed_up signed_up_for subscribed_to
  on_plan which_package package_is_on tier > subscription plan customer
wants_out quit_plan stop_plan leave_us end_plan end_of_period cancels > cancel subscription plan end
discount_code promo_code voucher_code coupon give_10 knock_off > coupon discount code
mrr arr churn recurring lost_customers > revenue recurring churn month
vat tax gst with_tax including_tax net gross before_tax after_tax mwst plus_tax > vat tax amount
claim reimbursed_yet get_my_money get_my_expenses > expense claim status reimbursement
po purchase_order supplier_order vendor sign_off > purchase order approve supplier
bought what_did_buy ordered orders_of buying_history purchase_history get_from_us got_from_us > order customer
buy_exactly what_was_in in_the_order in_order order_number each_thing positions_of line_items > order detail item
changed_mind don't_want_it doesn't_want wants_to_cancel before_ships ordered_wrong ordered_by_mistake
  not_shipped_yet before_it_ships hasn't_shipped clicked_twice ordered_twice was_a_mistake > cancel order
wrong_size doesn't_fit didn't_fit send_back wants_to_send wants_to_return bring_back damaged_item too_big > return
  label order item
do_we_sell sell_any looking_for_a in_our_shop catalogue backpack jacket shoes tent waterproof headphones
  available_now do_we_carry we_carry range_of assortment lamps lamp_models > product catalogue search
how_many_left in_stock still_have do_we_still sold_out out_of_stock units pieces_left warehouse > stock product
  warehouse piece
should_cost costs_from new_price raise_price lower_price cheaper make_cheaper price_to cost_from > price update
  article change
running_low running_out almost_out get_more order_more restock replenish buy_in more_of_it get_some_more order_again
  200_more another_hundred nearly_gone almost_gone short_of low_on run_short will_be_gone be_gone_by > reorder stock
  supplier
stars star_rating buyers_think customers_think customers_say people_complain one_star rated > review product
  customer star
flew_off sold_best sold_most sells_best best_seller best-selling bestselling hit hits top_selling top_ten went_best
  popular people_buy buy_most buys_most most_bought > bestseller sold article
sale percent_off black_week discount_on reduced special_offer promotion > discount sale voucher percent
baskets carts didn't_check_out left_without never_paid not_bought left_in_basket abandon > abandoned cart basket
gift_card giftcard left_on_card gift_voucher > gift card balance
contract nda agreement lease signed_with expire_contract renewal notice_period > contract clause search
liability warranty notice_period terms_about says_contract penalty termination paragraph > clause contract subject
brand_name name_taken already_registered logo_registered > trademark registered name
directors managing_directors gmbh ltd official_name registered_office incorporated legal_form shareholders
  headquarters > company register commercial entry
flat apartment house rent_flat rooms_rent to_let landlord square_metres > flat rent property
mortgage home_loan house_loan 10_year 15_year fixed_rate buying_a_house > mortgage interest home loan
publication publications paper papers published study studies journal arxiv research peer-reviewed scientist
  scientists > paper scientific publication topic
van vans truck trucks lorry lorries delivery_van vehicle courier_is where_van driver's > fleet van vehicle lorry
litres_per mpg burns gas_mileage thirsty per_100 guzzle > fuel vehicle consumption litre
behind_wheel wheel drives driving on_the_road drive_tomorrow shifts who_drives > driver driving shift schedule
customs duty import importing imported tariff hs_code bring_into_country border bring_from pay_to_bring cost_to_get
  import_from into_the_eu > customs duty goods tariff
aisle bay rack which_shelf where_pallet forklift > pallet aisle warehouse
press mill lathe robot conveyor cnc machine_running standing_still idle downtime_machine production > machine
  production state
oee line_do late_shift early_shift night_shift performance_line production_line output_line > line shift production
  availability performance quality
spare fits_the replacement_part bearing seal valve belt gasket fit_for needs_new worn worn_out fits_on > spare part
  machine
oil_change filter filters overhaul is_due lubricate inspection service_due calibrate calibration due_for serviced
  servicing hasn't_been_serviced due_service > maintenance schedule machine service
boiler tank compressor turbine pump kiln furnace reactor how_hot gauge probe bar psi > sensor temperature pressure
  reading
rejects rejected scrapped threw_away waste reject_rate bad_parts defects wrong_parts faulty_parts > scrap rejected
  piece cause
visits visitors page_views pageviews hits_site looked_at viewed traffic came_from looked_page audience > visitor
  analytic web page view
drop_off drop_out lose_them before_buy leave_before checkout_step get_lost_way > funnel visitor step conversion
ads adwords impressions click clicks ctr cpc google_ads ad_spend campaign banner > campaign advertising click
pull_ads stop_ads stop_advertising hold_campaign wasting > pause campaign stop
ab variant split_test won_test button_won version_won experiment which_won better_version > experiment variant won
  test
tweet linkedin instagram mastodon post_about tell_followers followers announce_on > social post publish media
twitter saying_about talk_about_us think_of_us people_saying buzz reputation mentioned shitstorm
  complaining_about_us complain_about_us online_about_us > social mention people say
send_newsletter out_to_subscribers goes_out_to subscribers_get > newsletter send subscriber segment
readers get_newsletter newsletter_grow sign-ups signups > newsletter subscriber number grow
google_for found_on_google google_position rank_for seo position_on first_page bing page_one page_two
  first_on_google show_up_for > keyword ranking search position
point_to_us link_to_us sites_link links_to_us linking other_sites > backlink link site
shorten short_url shorter_link bitly tinyurl ugly_link long_link > short link url
salesforce hubspot pipedrive > crm contact deal
our_contact who's_our contact_person know_someone decision_maker > crm find contact
stripe paypal klarna sepa > payment card
bounced bounce came_in come_in gone_through cleared settled pending received_money > payment status arrived pending
  failed
truck_now van_now where_is_our where_are_our > fleet position van
drank_fuel diesel petrol litres gallon_per > fuel consumption vehicle litre
running_or_not is_it_running stopped_again machine_down line_down press_working working_again > machine state
  production
produced_badly thrown_away scrap_rate unusable bad_pieces > scrap rejected piece shift
overpressure vibrating vibration rpm flow fill_level temperature_of pressure_in > sensor reading latest value
customs_fee import_tax levy duties > customs tariff duty
royalty indemnity confidentiality jurisdiction payment_terms > contract clause
similar_brand name_free call_our_product > trademark name similar
owner_of_company ceo_of officially_registered handelsregister companies_house > company register entry commercial
buy_a_house buy_a_flat studio bedsit house_hunting moving_to > property flat rent
bank_interest home_financing refinance > mortgage interest loan
campaign_doing ads_doing money_on_ads google_campaign facebook_ads > campaign performance advertising cost click
lose_people losing_people give_up_checkout people_stop don't_finish > funnel visitor step buy
who_visits visitors bounce_rate sessions referrer unique_users > analytic visitor page view
what_people_write what_they_say mentions_of brand_mention trend > social mention
subscriber subscribers audience opt-in list_growth > newsletter subscriber number
send_out issue_out mailing_goes > newsletter send segment
put_on_instagram put_on_linkedin share_on shout_out tell_the_world > social post publish
on_google found_under ranking_for > keyword ranking search
came_broken arrived_broken damaged wrong_item wrong_colour wrong_color faulty_item exchange_it > return order item
refund reimbursed_customer complaint_money goodwill > refund payment money customer
how_much_stuff piece_count on_hand > stock product piece warehouse
mistake_in_price now_costs price_tag reduce_to goes_up_to > update price article
moved_to_street changed_address ship_it_to lives_at_now > shipping address change order
bought_but thinking_about_buying forgot_to_pay started_checkout > abandoned basket cart
took_parcel left_at_neighbour delivery_date when_will_arrive expected_delivery when_does_arrive get_here get_to_me
  come_today arrive_today arriving_today delivered_today jjd > track parcel shipment arrive
projected hit_target make_our_numbers end_of_quarter > forecast sales quarter
won lost proposal qualified > deal stage
hung_up hanging_up just_had_on just_spoke conversation_with > log call phone customer
takes_care_of takes_care who_sells sells_in who_covers customers_in accounts_in > territory representative region
  owner
anybody_else_complain anyone_complained else_complain complained other_people_with also_have > search ticket find
like_our happy_with content_with unhappy_customers how_satisfied rating_of_support > customer satisfaction score
  survey
get_through got_through came_through did_the_money money_get has_paid did_pay paid_already > payment status arrived
let_customer_have give_customer_code free_month code_for > coupon discount code customer apply
should_go_to go_to_instead instead_of_old deliver deliver_to new_street to_street street_instead zip > address order
  shipping change
off_this_weekend off_next_week weekend_sale summer_sale everything_off all_off 20_off 10_off 30_off 50_off
  on_everything percent_on off_everything happy_hour cyber_monday black_friday > discount sale percent
which_deals deals_with agreements agreement run_out_before > contract search expire
say_about what_does_say notice cancel_how_soon > contract clause subject
can't_find_pallet lost_pallet stored_where storage > pallet location warehouse
throw_away thrown threw throw_out how_much_waste line_throw > scrap rejected line piece
issue_can_go goes_out_to ready_to_send out_to_customers out_to_subscribers > newsletter send issue segment
give_up way_to_paying lose_customers stop_before > funnel visitor step buy conversion
guests visitors_get point_phone pointing_their_phone hold_phone scan_it > qr code link
shipment_stuck customs_stuck > track parcel
guy_at woman_at person_at someone_at contact_of > contact find crm person company
about_to_buy likely_to_buy close_to_buying hot_leads ready_to_buy in_negotiation > deal sales opportunity stage
we_lost we_won lost_the_deal won_the_deal > move deal stage
people_work_at employees_at financed who_financed backed_by venture size_of_company > company profile funding size
client_called customer_called caller reports_that says_his says_her > create ticket customer support
something_for hand_over_to pass_to_team wrong_team > assign ticket group agent
can_be_shut found_the_problem solved_itself works_for_him works_for_her > close ticket solved
on_enterprise on_pro on_basic to_enterprise to_premium bigger_package > upgrade plan subscription price
what's_in_order shipped_to > order detail item address
before_it_leaves stop_order stop_the_order leaves_the_warehouse > cancel order shipped
in_pieces smashed cracked scratched torn stained ships_it_back > return item order label
still_deliver can_we_deliver can_deliver enough_of enough_for > stock product piece
productive productivity efficient output_of_line > line production performance oee
on_shift working_tomorrow > driver schedule shift
do_better did_better performed_better > variant experiment won test
vip vips > customer segment
halt freeze_campaign stop_the_ads > pause campaign
i_rang called_the_customer > log call customer
sales_pipeline in_the_pipeline pipeline_of > deal sales opportunity
wants_licences wants_licenses licences licenses > deal opportunity create
can't_export can't_login can't_access app_crashes_for > create ticket support customer
should_look_at > assign ticket
repeat_of same_thing > merge ticket same
won't_renew don't_renew not_renewing discontinue unsubscribe_customer > cancel subscription plan
bring_in_each subscriptions_bring earn_each_month > recurring revenue month
which_articles articles_in > order item detail
on_the_shelves on_shelves shelves > stock product warehouse
jump_off fall_off abandon_checkout point_do_buyers > funnel step visitor buy
check_of plan_a_check inspection_of > maintenance schedule machine
works_at_now > update contact detail person
it's_one_person one_person > merge contact duplicate
seems_keen keen keen_on interested > deal opportunity
handles_them foreign_customer > territory representative region
two-step customers_can_see can_customers_see > help centre article
processing_forever stuck_payment > payment status pending
bag vanished disappear > cart basket abandoned
find_us people_find_us > keyword ranking search engine
exit_clause > contract clause term
in_trouble call_it call_our call_the_product > trademark name
motor motors gear conveyor pump > machine spare part
defective_ones > scrap rejected piece
"""
